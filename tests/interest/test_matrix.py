import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.interest.matrix import InterestMatrix


def test_repeated_pairs_add_up_and_cold_ids_keep_empty_rows():
    A = InterestMatrix.from_pairs(["u", "u"], ["a", "a"], [1.0, 2.0], users=pd.Index(["w", "u"]))
    assert A.values.toarray().tolist() == [[0.0], [3.0]]
    assert A.density == 1 / 2


@pytest.mark.parametrize(
    ("users", "items", "words"),
    [
        (["u"], ["a", "b"], r"matrix is \(2, 2\), but its indexes name \(1, 2\)"),
        (["u", "u"], ["a", "b"], "'u' occurs twice"),
    ],
)
def test_labels_must_fit(users, items, words):
    with pytest.raises(ValueError, match=words):
        InterestMatrix(csr_array(np.eye(2)), pd.Index(users), pd.Index(items))


def test_a_pair_outside_the_index_is_refused():
    with pytest.raises(ValueError, match="not in the index"):
        InterestMatrix.from_pairs(["u"], ["a"], [1.0], users=pd.Index(["w"]))


def test_degrees_relative_to_the_largest():
    A = InterestMatrix.from_pairs(["u", "v"], ["a", "a"], [1.0, 4.0])
    assert A.relative.tolist() == [0.25, 1.0]
    nothing = InterestMatrix.from_pairs(["u", "v"], ["a", "a"], [0.0, 0.0])
    assert nothing.relative.tolist() == [0.0, 0.0]


def test_a_small_matrix_is_drawn_with_its_numbers_and_pairs_without_a_value_are_grey():
    A = InterestMatrix.from_pairs(["u", "u", "v"], ["a", "b", "b"], [0.9, 0.25, 0.4])
    assert A.table().to_numpy().tolist() == [["u", "a", 0.9], ["u", "b", 0.25], ["v", "b", 0.4]]
    ax = A.plot()
    assert [text.get_text() for text in ax.texts] == ["0.90", "0.25", "0.40"]
    assert ax.collections[0].get_array().mask.tolist() == [[False, False], [True, False]]


def test_a_large_matrix_is_drawn_by_the_share_of_its_cells_with_a_value():
    users = np.repeat(np.arange(20), 5)
    items = np.tile(np.arange(5), 20)
    A = InterestMatrix.from_pairs(
        [f"u{user}" for user in users],
        [f"i{item}" for item in items],
        np.ones(100),
        items=pd.Index([f"i{item}" for item in range(20)]),
    )
    assert A.occupancy(4).to_numpy().tolist() == [[1, 0, 0, 0]] * 4
    assert A.plot().get_title(loc="left") == "Where the matrix has values"
