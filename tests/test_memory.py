"""A model that does not fit into memory says so before it takes any."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.memory import free_memory, lack_of_memory
from kpay_lab.recommend import EASE, ItemNeighbours
from kpay_lab.recommend.base import Training
from kpay_lab.recommend.choose import choose_models

N_ITEMS = 2_000_000  # of which no machine holds the square


@pytest.fixture(scope="module")
def vast():
    """A user who met two of very many items."""
    values = csr_array((np.ones(2), ([0, 0], [3, 7])), shape=(1, N_ITEMS))
    return Training(InterestMatrix(values, pd.RangeIndex(1), pd.RangeIndex(N_ITEMS)))


def test_ease_names_items_memory_and_remedy(vast):
    message = (
        r"EASE: it weighs every two of 2,000,000 items: 24000\.0 GB .* needed and .* free; choose"
    )
    with pytest.raises(ValueError, match=message):
        EASE().fit(vast)
    assert "48000.0 GB" in EASE(dtype="float64").lacks(vast)


def test_all_item_neighbours_are_refused_and_200_are_not(vast):
    with pytest.raises(ValueError, match=r"ItemNeighbours: .*2,000,000 .*; set n_neighbors"):
        ItemNeighbours(n_neighbors=None).fit(vast)
    assert ItemNeighbours().fit(vast).item_weights_.nnz == 2


def test_a_run_leaves_out_what_does_not_fit(vast):
    models, left_out = choose_models({"ease": {}, "item_neighbours": {}}, vast)
    assert list(models) == ["popularity", "item_neighbours"]
    assert "2,000,000 items" in left_out["ease"]


def test_what_suffices_is_no_lack():
    assert lack_of_memory(10.0, free=10.0) == ""
    assert lack_of_memory(11e9, free=10e9).startswith("11.0 GB")
    assert 0 < free_memory() < 2**60


LIMITED = """
import resource, sys
from kpay_lab.cli import main
resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000, 6_000_000_000))
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may map")
def test_a_limited_process_refuses_in_one_line(tmp_path):
    """30,000 items take 5.4 GB; of the 6 GB that the process may map the package takes some."""
    events = pd.DataFrame({"user_id": "u" + pd.Series(np.arange(30_000) // 10).astype("str")})
    events["item_id"] = "i" + pd.Series(np.arange(30_000)).astype("str")
    log = tmp_path / "events.csv"
    events.to_csv(log, index=False)
    lists = tmp_path / "lists.csv"
    arguments = ["recommend", "--data", log, "--model", "ease", "--k", "2", "-o", lists]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("kpay: EASE: it weighs every two of 30,000 items: 5.4 GB")
    assert not lists.exists()
