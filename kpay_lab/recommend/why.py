"""Why an item is on a list: what the user met before, or the features it shares with that."""

from typing import Any

import numpy as np
from scipy.sparse import diags_array

from kpay_lab.recommend.base import Recommender, TopK, Training, product
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.neighbours import ItemNeighbours


def explain_lists(top: TopK, model: Recommender, train: Training, *, n: int = 2) -> np.ndarray:
    """Name what speaks most for each item of each list.

    A model that scores by history · item weights is taken apart exactly: the contribution
    of a met item j to item i is h_uj · w_ji. ContentBased names shared features instead.
    For any other model the met items most similar to i (cosine of their users) stand in.

    Returns
    -------
    str array of shape (n_users, k)
        At most n titles (ids where there is none) or features, joined by ``; ``. Empty
        where nothing speaks for the item, as for a cold user, and beside −1.
    """
    part: Any = model if hasattr(model, "item_weights_") else None
    part = part or ItemNeighbours(n_neighbors=None).fit(train)
    by_feature = isinstance(part, ContentBased)
    names = part.names_ if by_feature else _titles(train)
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


def _titles(train: Training) -> np.ndarray:
    ids = train.interest.items
    if not train.has("items", "title"):
        return ids.to_numpy(dtype=object)
    titles = train.need("items", "title", "the why").set_index("item_id")["title"].reindex(ids)
    return titles.fillna(ids.to_series()).to_numpy(dtype=object)
