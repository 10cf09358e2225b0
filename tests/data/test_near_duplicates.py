"""Copies are found in both languages, and a planted copy among real course texts."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.near_duplicates import item_texts, near_duplicates
from kpay_lab.data.public import mooccubex, udemy


def pairs(texts, threshold):
    found = near_duplicates(pd.Series(texts), threshold=threshold)
    return set(zip(found["item_id"], found["other_id"], strict=True))


def test_similarity_is_the_cosine_of_log_frequency_times_inverse_document_frequency():
    found = near_duplicates(pd.Series({"x": "ab ab cd", "y": "ab", "z": "ef"}), threshold=0.01)
    # char_wb pads words with a space: "ab" has the terms " a", "ab", "b ", " ab", "ab ", " ab ";
    # each is in 2 of 3 texts; "cd" has as many, each in 1 of 3.
    n_terms, common, rare = 6, np.log(4 / 3) + 1, np.log(4 / 2) + 1
    x = np.array([(1 + np.log(2)) * common] * n_terms + [rare] * n_terms)
    y = np.array([common] * n_terms + [0] * n_terms)
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert found.values.tolist() == [["x", "y", pytest.approx(cosine, rel=1e-12)]]


def test_case_and_spaces_do_not_hide_a_copy_and_other_words_are_none():
    texts = {"a": "Piano for Beginners", "b": "piano  FOR beginners", "c": "Python for Beginners"}
    assert pairs(texts, 0.999) == {("a", "b")}
    assert pairs({"a": "基础笔译课程", "b": "基础笔译课程", "c": "大学物理"}, 0.9) == {("a", "b")}
    assert pairs({}, 0.9) == pairs({"a": "alone"}, 0.9) == set()
    with pytest.raises(ValueError, match="threshold is 0; it must be above 0"):
        pairs(texts, 0)


def test_items_without_words_are_left_out():
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["x", None, " "]})
    assert item_texts(items).to_dict() == {"a": "x"}
    with pytest.raises(ValueError, match="need the column title or description"):
        item_texts(items[["item_id"]])


@pytest.mark.parametrize(("name", "reader"), [("udemy-courses", udemy), ("mooccubex-gear", None)])
def test_every_equal_text_of_a_real_catalogue_is_found(real_data, name, reader):
    folder = real_data(name)
    items = reader(folder) if reader else mooccubex(folder).tables.items
    texts = item_texts(items).head(2000)
    plain = texts.str.lower().str.split().str.join(" ")
    equal = {(a, b) for ids in plain.groupby(plain).groups.values() for a in ids for b in ids}
    wanted = {pair for pair in equal if texts.index.get_loc(pair[0]) < texts.index.get_loc(pair[1])}
    found = near_duplicates(texts, threshold=0.9)
    assert wanted <= set(zip(found["item_id"], found["other_id"], strict=True))
    assert len(wanted) >= 3 and len(found) < 0.1 * len(texts)
    assert found["similarity"].is_monotonic_decreasing
