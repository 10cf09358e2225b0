r"""What is asked and said in comments: topics, their keywords, and questions, counted in people.

A comment is personal. Nothing here hands a whole text on: a table holds terms that at least
``minimum`` people used, and numbers of people.

What sets a class of comments apart (a topic, a session, a host) is told by class-based TF-IDF. With
:math:`f_{t,c}` people of class :math:`c` who used the term :math:`t`,

.. math:: w_{t,c} = \frac{f_{t,c}}{\sum_t f_{t,c}} \log\left(1 + \frac{A}{\sum_c f_{t,c}}\right)

where :math:`A` is the mean number of terms a class. A person counts once a class, however often
they wrote.

No mood is read from the texts: those of the simulated shop could not prove that it was right.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import (
    ENGLISH_STOP_WORDS,
    CountVectorizer,
    TfidfVectorizer,
)
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHINESE = re.compile(r"[㐀-鿿]+")
WORD = re.compile(r"[^\W\d_㐀-鿿](?:[^\W㐀-鿿]|['’-])*")
SHORTEST_NGRAM = 2  # characters that stand for a word of Chinese
LONGEST_NGRAM = 4
ASKING_CHINESE = re.compile(
    r"[吗么嘛]$|什么|怎么|怎样|如何|多少|多久|多长|多大|几[个节门天点次本岁]|哪|谁|为啥|啥|咋"
    r"|能不能|可不可以|是不是|有没有|要不要|会不会|难不难|好不好|行不行|对不对"
)
NOT_ASKING = re.compile(r"没什么|什么都|怎么都|谁都|多少都")
ASKING_ENGLISH = re.compile(
    r"^(how|what|when|where|why|who|whom|whose|which|is|are|was|were|do|does|did|can|could|will"
    r"|would|should|shall|may|has|have|any)\b(?! a \w+[!.]?$)"
)

END_MARKS = re.compile(r"[\s.!~。,…]+$")

DIMENSIONS = 20  # of the texts that are clustered, after a singular value decomposition
N_TOPICS = range(2, 21)  # tried
TEXTS_AT_ONCE = 2_000  # of which a silhouette is taken; it compares all pairs
N_REFITS = 5
STABLE = 0.6  # the adjusted Rand index from which two clusterings count as alike
ALIKE = 0.9  # a term used by so many of those who used a longer one is a part of it


def comments_of(tables: Tables) -> pd.DataFrame:
    """Return the comments of a log that have a text.

    Returns
    -------
    DataFrame
        One row a comment: ``user_id, item_id, text``, its ``timestamp`` where known, and
        ``is_question``: the log marks it as one, or `is_question` reads it as one.

    Raises
    ------
    TooLittleError
        If no event has the text of a comment.
    """
    events = tables.events
    if "comment_text" not in events or events["comment_text"].isna().all():
        raise TooLittleError(
            "no text of a comment is in the log; it would take the column comment_text in the "
            "table events (under ids: pseudonymise it is dropped)"
        )
    written = events[events["comment_text"].notna()].reset_index(drop=True)
    columns = ["user_id", "item_id", "timestamp", "comment_text"]
    known = [name for name in columns if name in written]
    comments = written[known].rename(columns={"comment_text": "text"})
    asks = comments["text"].map(is_question).astype(bool)
    if "question_count" in written:
        n_marked = written["question_count"].fillna(0)
        asks = asks | (n_marked > 0).astype(bool)
    return comments.assign(is_question=asks)


def is_question(text: str) -> bool:
    """Return whether a comment asks something, by its form: English and Chinese.

    A question mark asks; so do a Chinese word of asking, and an English one that begins the text.

    >>> [is_question(text) for text in ("有回放吗", "这门课多少钱", "讲得真好", "没什么难的")]
    [True, True, False, False]
    >>> [is_question(text) for text in ("how do i enrol", "Replay?", "What a lesson!", "nice")]
    [True, True, False, False]
    """
    plain = _plain(text)
    if "?" in plain:
        return True
    words = END_MARKS.sub("", plain)
    if NOT_ASKING.search(words):
        return False
    return bool(ASKING_CHINESE.search(words) or ASKING_ENGLISH.search(words))


def terms(text: str) -> list[str]:
    """Return the terms of a comment that can be keywords.

    Chinese puts no space between words: its terms are all runs of two to four characters. Other
    scripts have words, without the commonest ones of English, and pairs of neighbouring words.

    >>> terms("有回放吗")
    ['有回', '回放', '放吗', '有回放', '回放吗', '有回放吗']
    >>> terms("Is there a replay of Excel basics?")
    ['replay', 'excel', 'basics', 'excel basics']
    """
    plain = _plain(text)
    found = []
    for run in CHINESE.findall(plain):
        for length in range(SHORTEST_NGRAM, LONGEST_NGRAM + 1):
            found += _ngrams(run, length)
    words = WORD.findall(plain)
    found += filter(_is_telling, words)
    for word, following in pairwise(words):
        if _is_telling(word) and _is_telling(following):
            found.append(f"{word} {following}")
    return found


def _ngrams(run: str, length: int) -> list[str]:
    """Return each piece of so many characters."""
    starts = range(len(run) - length + 1)
    return [run[start : start + length] for start in starts]


def _is_telling(word: str) -> bool:
    return len(word) > 1 and word not in ENGLISH_STOP_WORDS


def _plain(text: str) -> str:
    """Return a text in one width and case, so that ？ and ? are alike."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def keywords(
    comments: pd.DataFrame, classes: pd.Series, *, minimum: int = 10, most: int = 6
) -> pd.DataFrame:
    """Return the terms that set classes of comments apart, by class-based TF-IDF.

    Parameters
    ----------
    comments : DataFrame
        ``user_id`` and ``text``, as from `comments_of`.
    classes : Series of shape (n_comments,)
        The class of each comment, such as its topic or its session.
    minimum : int
        The fewest people of a class who used a term that is shown.
    most : int
        Terms a class at most.

    Returns
    -------
    DataFrame
        ``class, term, people`` (who used it in this class) and ``weight``, the heaviest first. A
        term that stands for hardly anything but a heavier, longer one of its class is left out.

    References
    ----------
    Grootendorst (2022), BERTopic: Neural topic modeling with a class-based TF-IDF procedure.

    Examples
    --------
    >>> said = pd.DataFrame({"user_id": list("abcd")})
    >>> said["text"] = ["有回放吗", "回放呢", "多少钱", "多少钱啊"]
    >>> found = keywords(said, pd.Series(["replay", "replay", "price", "price"]), minimum=2)
    >>> found[["class", "term", "people"]].to_numpy().tolist()
    [['price', '多少钱', 2], ['replay', '回放', 2]]
    """
    columns = ["class", "term", "people", "weight"]
    counts, names, vocabulary = _people_by_term(comments, classes)
    if counts.nnz == 0:
        return pd.DataFrame(columns=columns)
    terms_of_class = np.asarray(counts.sum(axis=1)).ravel()
    uses_of_term = np.asarray(counts.sum(axis=0)).ravel()
    rarity = np.log1p(terms_of_class.mean() / uses_of_term)
    cells = counts.tocoo()
    people = cells.data.astype(int)
    weight = people / terms_of_class[cells.row] * rarity[cells.col]
    table = pd.DataFrame({"class": names[cells.row], "term": vocabulary[cells.col]})
    table = table.assign(people=people, weight=weight)
    shown = table[table["people"] >= minimum]
    shown = shown.assign(length=shown["term"].str.len())
    order = ["class", "weight", "length", "term"]
    in_order = shown.sort_values(order, ascending=[True, False, False, True])
    parts = [_without_parts(of_class, most) for _, of_class in in_order.groupby("class")]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def _people_by_term(
    comments: pd.DataFrame, classes: pd.Series
) -> tuple[csr_array, np.ndarray, np.ndarray]:
    """Return how many people of each class used each term: (n_classes, n_terms), and the names."""
    writers = [classes.to_numpy(), comments["user_id"].to_numpy()]
    by_writer = comments["text"].groupby(writers)
    texts = by_writer.agg("\n".join)  # a line a comment, so that no term spans two of them
    vectorizer = CountVectorizer(analyzer=_terms_of_lines, binary=True)
    try:
        used = csr_array(vectorizer.fit_transform(texts))
    except ValueError:  # not one term: scikit-learn refuses an empty vocabulary
        nothing = np.empty(0, dtype=object)
        return csr_array((0, 0)), nothing, nothing
    class_of_text = texts.index.get_level_values(0)
    of_class = pd.get_dummies(class_of_text, dtype=float)
    names = of_class.columns.to_numpy()
    people = csr_array(of_class.to_numpy().T) @ used
    return csr_array(people), names, vectorizer.get_feature_names_out()


def _terms_of_lines(text: str) -> list[str]:
    found: list[str] = []
    for line in text.split("\n"):
        found += terms(line)
    return found


def _without_parts(of_class: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep the heaviest terms; of several that say the same, the longest in the first's place."""
    kept: list[Any] = []
    for row in of_class.itertuples():
        same = [place for place, other in enumerate(kept) if _says_the_same(row, other)]
        if not same and len(kept) < most:
            kept.append(row)
        elif same and row.length > kept[same[0]].length:
            kept[same[0]] = row
    return of_class.loc[[row.Index for row in kept]]


def _says_the_same(one: Any, other: Any) -> bool:
    """Whether two terms share a piece, and about the same people used both."""
    fewer = min(one.people, other.people)
    more = max(one.people, other.people)
    return fewer >= ALIKE * more and not _pieces(one.term).isdisjoint(_pieces(other.term))


def _pieces(term: str) -> set[str]:
    """Return the words of a term, or its pairs of characters where it is Chinese."""
    if not CHINESE.search(term):
        return set(term.split())
    return set(_ngrams(term, SHORTEST_NGRAM))


@dataclass(frozen=True)
class Topics:
    """Comments by what they are about.

    Parameters
    ----------
    comments : DataFrame
        As from `comments_of`, with ``topic``: 1 the topic of the most people, 2 the next.
    keywords : DataFrame
        As from `keywords`, the class being the topic.
    silhouettes : Series
        How well each number of topics parts the texts, −1 to 1; index ``n_topics``.
    stability : float
        The mean adjusted Rand index of these topics and those found in other draws of four fifths
        of the texts: 1 where the same texts lie together each time, about 0 where by chance.
    minimum : int
        The fewest people of a topic or a term that is shown.
    """

    comments: pd.DataFrame
    keywords: pd.DataFrame
    silhouettes: pd.Series
    stability: float
    minimum: int

    def table(self) -> pd.DataFrame:
        """Count who wrote on each topic.

        Returns
        -------
        DataFrame
            Index: ``topic``. ``keywords`` (a dash where no term is shared by enough people),
            ``people``, ``comments``, their ``share`` of all, and ``questions``, the share of the
            comments that ask. Topics of fewer than ``minimum`` people are left out.
        """
        by_topic = self.comments.groupby("topic")
        table = by_topic["user_id"].nunique().to_frame("people")
        table["comments"] = by_topic.size()
        table["share"] = table["comments"] / len(self.comments)
        table["questions"] = by_topic["is_question"].mean()
        words = self.keywords.groupby("class")["term"].agg(", ".join)
        table.insert(0, "keywords", words.reindex(table.index).fillna("–"))
        return table[table["people"] >= self.minimum]

    def findings(self) -> list[Finding]:
        """Return what most people write of, and whether these topics are found again."""
        table = self.table()
        named = table[table["keywords"] != "–"]
        if named.empty:
            return []
        first = named.iloc[0]
        n_people = self.comments["user_id"].nunique()
        words = first["keywords"].split(", ")
        values: dict[str, Any] = {"keywords": words[:3], "people": first["people"]}
        values |= {"n_people": n_people, "n_topics": len(table)}
        values |= {"stability": self.stability, "is_stable": self.stability >= STABLE}
        level = "plain" if values["is_stable"] else "watch"
        return [Finding("live/topics", level, values, place="topics")]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw how many people wrote on each topic, named by its keywords."""
        from kpay_lab.plots import plot_bars  # here, for matplotlib is slow to import

        table = self.table()
        people = table.set_index("keywords")["people"]
        return plot_bars(people, ax=ax, fmt=",", length=44, xlabel="people", title="What is said")


def find_topics(
    comments: pd.DataFrame,
    *,
    rng: np.random.Generator,
    minimum: int = 10,
    n_topics: int | None = None,
) -> Topics:
    """Group comments by their characters, and name the groups by their keywords.

    Texts are vectors of the TF-IDF of their runs of two to four characters, which suit Chinese and
    forgive typing errors; a singular value decomposition makes them short, and k-means groups
    those of like direction. Equal texts are one, weighted by the people who wrote it.

    Parameters
    ----------
    comments : DataFrame
        As from `comments_of`.
    rng : numpy Generator
    minimum : int
        The fewest people of a topic or a term that is shown.
    n_topics : int, optional
        By default the number from 2 to 20 with the best silhouette.

    Raises
    ------
    TooLittleError
        If there are too few different texts, or they share nothing.

    References
    ----------
    Rousseeuw (1987), Silhouettes: a graphical aid to the interpretation of cluster analysis.
    Hubert and Arabie (1985), Comparing partitions.
    """
    plain = comments["text"].map(_plain)
    people = comments["user_id"].groupby(plain, sort=False).nunique()
    vectors = _vectors(people.index)
    tried = [n_topics] if n_topics else [n for n in N_TOPICS if n < len(people)]
    seeds = rng.integers(2**31, size=len(tried))
    compared = rng.permutation(len(people))[:TEXTS_AT_ONCE]
    weight = people.to_numpy()
    silhouettes = {}
    labels_by_n = {}
    with threadpool_limits(1):  # the last digits depend on the number of threads
        for n, seed in zip(tried, seeds, strict=True):
            model = KMeans(n, n_init=4, random_state=int(seed))
            labels_by_n[n] = model.fit_predict(vectors, sample_weight=weight)
            silhouettes[n] = silhouette_score(vectors[compared], labels_by_n[n][compared])
        table = pd.Series(silhouettes, name="silhouette").rename_axis("n_topics")
        best = int(table.idxmax())
        labels = labels_by_n[best]
        stability = _stability(vectors, weight, labels, best, rng)
    label_of_text = pd.Series(labels, people.index)
    topic = _by_people(plain.map(label_of_text), comments["user_id"])
    found = keywords(comments, topic, minimum=minimum)
    return Topics(comments.assign(topic=topic), found, table, stability, minimum)


def _vectors(texts: pd.Index) -> np.ndarray:
    """Return a short unit vector a text: (n_texts, n_dimensions)."""
    vectorizer = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(SHORTEST_NGRAM, LONGEST_NGRAM),
        sublinear_tf=True,
        min_df=2,
        max_features=20_000,
    )
    few = TooLittleError(
        f"{len(texts):,} different texts are too few to be grouped, or they share no run of "
        "characters; look at the keywords alone"
    )
    if len(texts) <= N_TOPICS.stop:
        raise few
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError as error:  # no run of characters is in two texts
        raise few from error
    n_dimensions = min(DIMENSIONS, min(counts.shape) - 1)
    if n_dimensions < 2:
        raise few
    shortened = TruncatedSVD(n_dimensions, algorithm="arpack", random_state=0)
    return normalize(shortened.fit_transform(counts))


def _stability(
    vectors: np.ndarray,
    weight: np.ndarray,
    labels: np.ndarray,
    n_topics: int,
    rng: np.random.Generator,
) -> float:
    """Return how much of a grouping comes again from other draws of four fifths of the texts."""
    n_drawn = len(vectors) * 4 // 5
    agreements = []
    for _ in range(N_REFITS):
        drawn = rng.permutation(len(vectors))[:n_drawn]
        model = KMeans(n_topics, n_init=4, random_state=int(rng.integers(2**31)))
        model.fit(vectors[drawn], sample_weight=weight[drawn])
        agreements.append(adjusted_rand_score(labels, model.predict(vectors)))
    return float(np.mean(agreements))


def _by_people(label: pd.Series, user: pd.Series) -> pd.Series:
    """Number labels from 1, that of the most people first."""
    people = user.groupby(label).nunique()
    order = people.sort_values(ascending=False, kind="stable").index
    number = pd.Series(np.arange(1, len(order) + 1), order)
    return label.map(number)


@dataclass(frozen=True)
class Questions:
    """What people ask in comments.

    Parameters
    ----------
    topics : Topics or None
        Of the questions alone; None where they are too few to be grouped.
    n_questions, n_askers, n_comments, n_people : int
        Questions and who asked them, beside all comments and all who wrote.
    minimum : int
        The fewest people of a group that is shown.
    """

    topics: Topics | None
    n_questions: int
    n_askers: int
    n_comments: int
    n_people: int
    minimum: int

    def table(self) -> pd.DataFrame:
        """Return `Topics.table` of the questions, without the share that ask: it is all of them."""
        if self.topics is None:
            return pd.DataFrame(columns=["keywords", "people", "comments", "share"])
        table = self.topics.table().drop(columns="questions")
        return table.rename_axis("question")

    def findings(self) -> list[Finding]:
        """Return how many comments ask, and what most people ask about."""
        if self.n_askers < self.minimum:
            return []
        values: dict[str, Any] = {"n": self.n_questions, "askers": self.n_askers}
        values |= {"share": self.n_questions / self.n_comments, "n_comments": self.n_comments}
        table = self.table()
        named = table[table["keywords"] != "–"]
        values |= {"keywords": (), "people": None}
        if len(named):
            first = named.iloc[0]
            words = first["keywords"].split(", ")
            values |= {"keywords": words[:3], "people": first["people"]}
        return [Finding("live/questions", "plain", values, place="questions")]


def find_questions(
    comments: pd.DataFrame, *, rng: np.random.Generator, minimum: int = 10
) -> Questions:
    """Group the comments that ask something, as `find_topics` groups all."""
    asked = comments[comments["is_question"]].reset_index(drop=True)
    try:
        topics = find_topics(asked, rng=rng, minimum=minimum)
    except TooLittleError:
        topics = None  # the table of questions is empty then, and what was counted stands
    return Questions(
        topics=topics,
        n_questions=len(asked),
        n_askers=asked["user_id"].nunique(),
        n_comments=len(comments),
        n_people=comments["user_id"].nunique(),
        minimum=minimum,
    )
