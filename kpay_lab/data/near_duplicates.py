"""Texts that are nearly the same: a copy, a re-upload, or one course sold twice."""

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors


def item_texts(items: pd.DataFrame) -> pd.Series:
    """Join title and description of each item, by ``item_id``; leave out items without a word."""
    columns = [name for name in ("title", "description") if name in items]
    if not columns:
        raise ValueError("near-duplicates need the column title or description in items")
    parts = items.set_index("item_id")[columns].fillna("").astype("str")
    texts = parts.agg(" ".join, axis=1).str.strip()
    return texts[texts != ""]


def near_duplicates(texts: pd.Series, *, threshold: float = 0.9) -> pd.DataFrame:
    r"""Find pairs of texts whose TF-IDF vectors have a cosine of at least ``threshold``.

    .. math:: \cos(a, b) = \frac{\sum_t w_{ta} w_{tb}}{\lVert w_a \rVert \lVert w_b \rVert},
        \qquad w_{ta} = (1 + \ln f_{ta}) \left(\ln \frac{1 + n}{1 + n_t} + 1\right)

    A term *t* is a run of two to four letters inside a word, so that one rule serves English
    and Chinese; :math:`f` counts it in a text, :math:`n_t` the texts of :math:`n` that have it.

    Parameters
    ----------
    texts : Series of str
        Indexed by item id.

    Returns
    -------
    DataFrame
        ``item_id, other_id, similarity``, one row a pair, most similar first.

    Source: Manning, Raghavan, Schütze, *Introduction to Information Retrieval*, 2008, ch. 6.

    >>> texts = pd.Series({"a": "Python for all", "b": "python for all!", "c": "瑜伽入门"})
    >>> near_duplicates(texts, threshold=0.8)[["item_id", "other_id"]].values.tolist()
    [['a', 'b']]
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be above 0 and at most 1")
    if texts.empty:
        return pd.DataFrame(columns=["item_id", "other_id", "similarity"])
    terms = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    close = NearestNeighbors(metric="cosine").fit(terms.fit_transform(texts))
    found = close.radius_neighbors_graph(radius=1 - threshold + 1e-9, mode="distance").tocoo()
    ids = texts.index.to_numpy()
    pairs = {"item_id": ids[found.row], "other_id": ids[found.col], "similarity": 1 - found.data}
    table = pd.DataFrame(pairs)[found.row < found.col]
    return table.sort_values("similarity", ascending=False, kind="stable", ignore_index=True)
