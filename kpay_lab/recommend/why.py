"""Why an item is on a list: what the user met before, or the features it shares with that."""

from typing import Any

import numpy as np
from scipy.sparse import diags_array

from kpay_lab.recommend.base import Recommender, TopK, Training, product
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.neighbours import ItemNeighbours


def explain_lists(top: TopK, model: Recommender, train: Training, *, n: int = 2) -> np.ndarray:
    """Name what speaks most for each item of each list: str (n_users, k).

    At most n titles or features, joined by ``; ``; empty where nothing speaks for the item,
    as for a cold user, and beside −1. A model that scores by history · item weights is taken
    apart exactly: a met item j adds h_uj · w_ji to item i. ContentBased names shared features
    instead; for other models the met items most similar to i (cosine of users) stand in.
    """
    part: Any = model if hasattr(model, "item_weights_") else None
    part = part or ItemNeighbours(n_neighbors=None).fit(train)
    by_feature = isinstance(part, ContentBased)
    names = part.names_ if by_feature else item_titles(train)
    why = np.full(top.items.shape, "", dtype=object)
    for row, user in enumerate(top.users):
        listed = np.flatnonzero(top.items[row] >= 0)
        items, met = top.items[row, listed], part.history_[[user]]
        if by_feature:
            shared = part.features_[items].multiply(met @ part.features_).toarray()
        else:
            own = diags_array(met.data).tocsr()
            shared = product(own, part.item_weights_[met.indices][:, items]).T
        labels = names if by_feature else names[met.indices]
        for place, gains in zip(listed, shared, strict=True):
            best = np.argsort(-gains, kind="stable")[:n]
            why[row, place] = "; ".join(labels[best[gains[best] > 0]])
    return why


def item_titles(train: Training) -> np.ndarray:
    """Return the title of each item in order of position, the id where there is none."""
    ids = train.interest.items
    if not train.has("items", "title"):
        return ids.to_numpy(dtype=object)
    titles = train.need("items", "title", "the why").set_index("item_id")["title"].reindex(ids)
    return titles.fillna(ids.to_series()).to_numpy(dtype=object)
