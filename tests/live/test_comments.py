"""What is asked and said: terms, class-based TF-IDF by hand, topics found again, nobody shown."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import sentence
from kpay_lab.live.comments import (
    comments_of,
    find_questions,
    find_topics,
    is_question,
    keywords,
    terms,
)

ABOUT = {  # topic -> texts, in two languages; the second half of each asks
    "price": [
        "the discount is great",
        "a fair price with the coupon",
        "is there a coupon or a discount",
        "price with coupon?",
    ],
    "replay": [
        "i watched the replay at home",
        "replay of yesterday's recording",
        "where is the replay",
        "recording as a replay?",
    ],
    "gift": [
        "老师讲得真好谢谢老师",
        "谢谢老师讲得清楚",
        "老师讲得好不好",
        "老师讲到哪里",
    ],
}


def said(n_people=240, seed=0):
    """Comments of people who each speak of one topic, with a word of their own behind each."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(n_people):
        topic = list(ABOUT)[person % len(ABOUT)]
        text = ABOUT[topic][rng.integers(len(ABOUT[topic]))]
        rows.append((f"person {person}", topic, f"{text} {'!' * rng.integers(4)}"))
    return pd.DataFrame(rows, columns=["user_id", "about", "text"])


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("有回放吗", True),
        ("这门课多少钱", True),
        ("新手适合吗！", True),
        ("老师好，今天讲什么", True),
        ("？？", True),
        ("讲得真好", False),
        ("没什么难的", False),
        ("老师什么都懂", False),
        ("来了来了", False),
        ("Ｈｏｗ　ｍｕｃｈ", True),  # full width
        ("any discount today", True),
        ("Can I watch it later", True),
        ("What a lesson!", False),
        ("Great, thank you", False),
        ("I know how it works", False),
        ("", False),
    ],
)
def test_a_question_is_told_by_its_form(text, asks):
    assert is_question(text) is asks


def test_terms_part_scripts_and_never_span_two_comments():
    assert terms("Python课程") == ["课程", "python"]
    assert terms("the of and") == []
    lines = pd.DataFrame({"user_id": ["a", "a"], "text": ["多少", "钱包"]})
    found = keywords(lines, pd.Series(["x", "x"]), minimum=1)
    assert set(found["term"]) == {"多少", "钱包"}


def test_class_based_tf_idf_by_hand():
    """Two classes: tf is people who used a term over all such uses of the class."""
    rows = [("a", "coupon"), ("b", "coupon"), ("c", "slides"), ("d", "slides"), ("d", "coupon")]
    comments = pd.DataFrame(rows, columns=["user_id", "text"])
    classes = pd.Series(["price", "price", "material", "material", "material"])
    found = keywords(comments, classes, minimum=1).set_index(["class", "term"])
    mean_terms = (2 + 3) / 2
    expected = {
        ("price", "coupon"): 2 / 2 * np.log(1 + mean_terms / 3),
        ("material", "slides"): 2 / 3 * np.log(1 + mean_terms / 2),
        ("material", "coupon"): 1 / 3 * np.log(1 + mean_terms / 3),
    }
    assert found["weight"].to_dict() == pytest.approx(expected)
    assert found.loc[("price", "coupon"), "people"] == 2


def test_a_person_counts_once_however_often_they_write():
    shouting = pd.DataFrame({"user_id": ["a"] * 50 + ["b", "c"], "text": "free money"})
    assert keywords(shouting, pd.Series("x", shouting.index), minimum=4).empty
    found = keywords(shouting, pd.Series("x", shouting.index), minimum=3)
    assert found[["term", "people"]].to_numpy().tolist() == [["free money", 3]]


def test_of_terms_that_say_the_same_the_longest_stands():
    texts = pd.DataFrame({"user_id": list("abcd"), "text": ["多少钱", "多少钱", "多少钱呀", "贵"]})
    found = keywords(texts, pd.Series("x", texts.index), minimum=2)
    assert found["term"].tolist() == ["多少钱"]


def test_nothing_that_few_people_wrote_is_shown():
    comments = said().assign(is_question=False)
    secret = "my telephone is 13800138000 ask for zhang"
    comments.loc[0, "text"] = secret
    comments.loc[1, "text"] = secret
    topics = find_topics(comments, rng=np.random.default_rng(0), minimum=3)
    shown = topics.table().to_csv() + topics.keywords.to_csv() + str(topics.findings())
    for word in ("telephone", "13800138000", "zhang"):
        assert word not in shown
    assert topics.keywords["people"].min() >= 3
    assert topics.table()["people"].min() >= 3


def test_topics_are_found_again_and_named_by_their_words():
    comments = said().assign(is_question=lambda frame: frame["text"].map(is_question))
    topics = find_topics(comments, rng=np.random.default_rng(1), minimum=5, n_topics=3)
    assert adjusted_rand_score(comments["about"], topics.comments["topic"]) > 0.95
    words = topics.table()["keywords"].str.cat(sep="; ")
    assert "coupon" in words and "replay" in words and "老师讲" in words
    assert topics.stability > 0.9
    table = topics.table()
    assert table["comments"].sum() == len(comments)
    assert table["people"].is_monotonic_decreasing
    asked = comments["is_question"].groupby(topics.comments["topic"]).mean()
    pd.testing.assert_series_equal(table["questions"], asked, check_names=False)
    assert "topics stand out" in sentence(topics.findings()[0])


def test_the_same_comments_give_the_same_topics():
    comments = said().assign(is_question=False)
    first = find_topics(comments, rng=np.random.default_rng(2), minimum=5)
    again = find_topics(comments, rng=np.random.default_rng(2), minimum=5)
    pd.testing.assert_frame_equal(first.comments, again.comments)
    assert first.stability == again.stability


def test_comments_without_topics_are_called_unstable():
    """Words drawn by lot: what groups there are differ from draw to draw."""
    rng = np.random.default_rng(3)
    letters = list("bcdfghjklmnpqrstvwxz")
    texts = ["".join(rng.choice(letters, 12)) for _ in range(300)]
    users = [f"u{number}" for number in range(300)]
    noise = pd.DataFrame({"user_id": users, "text": texts, "is_question": False})
    topics = find_topics(noise, rng=rng, minimum=1, n_topics=8)
    assert topics.stability < 0.3
    assert [finding.level for finding in topics.findings()] == ["watch"]
    assert "hardly fall into topics" in sentence(topics.findings()[0])


def test_questions_are_counted_in_people():
    comments = said().assign(is_question=lambda frame: frame["text"].map(is_question))
    asked = find_questions(comments, rng=np.random.default_rng(0), minimum=5)
    askers = comments.loc[comments["is_question"], "user_id"].nunique()
    assert (asked.n_questions, asked.n_askers) == (comments["is_question"].sum(), askers)
    assert 0.3 < asked.n_questions / asked.n_comments < 0.7
    assert asked.table()["comments"].sum() <= asked.n_questions
    assert "comments ask something" in sentence(asked.findings()[0])


def test_few_questions_are_counted_and_not_grouped():
    comments = pd.DataFrame({"user_id": list("abc"), "text": ["how", "nice", "ok"]})
    comments["is_question"] = comments["text"].map(is_question)
    asked = find_questions(comments, rng=np.random.default_rng(0), minimum=1)
    assert asked.topics is None and asked.table().empty and asked.n_questions == 1
    assert "no words stand out" in sentence(asked.findings()[0])
    hidden = find_questions(comments, rng=np.random.default_rng(0), minimum=2)
    assert hidden.findings() == []


def test_the_log_may_mark_a_question_that_does_not_look_like_one():
    events = pd.DataFrame({"user_id": list("abc"), "item_id": "evening"})
    events["comment_text"] = ["replay please", "nice", None]
    events["question_count"] = pd.array([1, 0, 1], dtype="Int64")
    found = comments_of(Tables(events))
    assert found["is_question"].tolist() == [True, False]
    with pytest.raises(TooLittleError, match="comment_text"):
        comments_of(Tables(events.drop(columns="comment_text")))


def test_too_few_texts_are_not_grouped():
    few = pd.DataFrame({"user_id": list("ab"), "text": ["hello", "hello"], "is_question": False})
    with pytest.raises(TooLittleError, match="too few to be grouped"):
        find_topics(few, rng=np.random.default_rng(0))
