"""Find texts that are nearly the same: a copy, a re-upload, or one course sold twice."""

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from kpay_lab.findings import Finding


def item_texts(items: pd.DataFrame) -> pd.Series:
    """Join title and description of each item, by ``item_id``; items without text are left out."""
    columns = [name for name in ("title", "description") if name in items]
    if not columns:
        raise ValueError("near-duplicates need the column title or description in items")
    fields = items.set_index("item_id")[columns].fillna("").astype("str")
    texts = fields.agg(" ".join, axis=1).str.strip()
    return texts[texts != ""]


def near_duplicates(texts: pd.Series, *, threshold: float = 0.9) -> pd.DataFrame:
    r"""Find pairs of texts whose TF-IDF vectors have a cosine of at least ``threshold``.

    .. math:: \cos(a, b) = \frac{\sum_t w_{ta} w_{tb}}{\lVert w_a \rVert \lVert w_b \rVert},
        \qquad w_{ta} = (1 + \ln f_{ta}) \left(\ln \frac{1 + n}{1 + n_t} + 1\right)

    A term *t* is an n-gram of two to four characters inside a word, which works for English and
    for Chinese. It occurs :math:`f` times in a text, and in :math:`n_t` of the :math:`n` texts.

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
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    vectors = vectorizer.fit_transform(texts)
    neighbors = NearestNeighbors(metric="cosine").fit(vectors)
    radius = 1 - threshold + 1e-9
    distances = neighbors.radius_neighbors_graph(radius=radius, mode="distance").tocoo()
    ids = texts.index.to_numpy()
    columns = {
        "item_id": ids[distances.row],
        "other_id": ids[distances.col],
        "similarity": 1 - distances.data,
    }
    is_first_of_pair = distances.row < distances.col
    pairs = pd.DataFrame(columns)[is_first_of_pair]
    return pairs.sort_values("similarity", ascending=False, kind="stable", ignore_index=True)


def duplicate_findings(
    pairs: pd.DataFrame, texts: pd.Series, *, catalogue: str, threshold: float
) -> list[Finding]:
    """Return how many texts of a catalogue are there twice, nearly or letter by letter.

    Parameters
    ----------
    pairs : DataFrame
        Of `near_duplicates`.
    texts : Series of str
        Indexed by item id.
    catalogue : str
        What the catalogue is called.
    """
    if texts.empty:
        return []
    in_a_pair = pd.concat([pairs["item_id"], pairs["other_id"]]).nunique()
    values = {
        "catalogue": catalogue,
        "n_items": len(texts),
        "n_pairs": len(pairs),
        "n_in_a_pair": in_a_pair,
        "threshold": threshold,
    }
    level = "watch" if len(pairs) else "good"
    place = f"near_duplicates_{catalogue}"
    return [Finding("quality/near_duplicates", level, values, place=place)]
