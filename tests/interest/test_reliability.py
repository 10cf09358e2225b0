"""Whether interest comes out the same again, and what it says beyond counting."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.findings import sentence
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.reliability import (
    commonest_degree,
    counting_findings,
    matrix_findings,
    split_half_reliability,
    stay_findings,
)
from kpay_lab.interest.totals import pair_totals
from kpay_lab.interest.weighting import InterestWeights, interest_matrix, weights_table
from kpay_lab.stats import bootstrap_correlation


def visits(n_users, share_of):
    """Two visits of each of n users to each of two items."""
    users = np.repeat([f"u{number}" for number in range(n_users)], 4)
    items = np.tile(["x", "x", "y", "y"], n_users)
    events = pd.DataFrame({"user_id": users, "item_id": items, "duration": 100.0})
    events["watch_time"] = share_of(len(events)) * 100.0
    return events


def test_a_steady_interest_is_found_again_and_chance_is_not():
    rng = np.random.default_rng(0)
    steady = visits(80, lambda n: np.repeat(rng.random(n // 2), 2))
    found = split_half_reliability(steady, InterestWeights(), rng=rng)
    assert found.table.loc["interest", "correlation"] == pytest.approx(1)
    assert (found.n_twice, found.n_pairs) == (160, 160)
    (finding,) = found.findings()
    assert finding.level == "good"
    chance = split_half_reliability(visits(80, rng.random), InterestWeights(), rng=rng)
    interval = chance.table.loc["interest"]
    assert interval["low"] < 0 < interval["high"]
    (finding,) = chance.findings()
    assert finding.level == "bad"
    assert sentence(finding).startswith("Interest hardly comes out the same again")


def test_pairs_that_met_once_say_nothing_of_their_reliability():
    rng = np.random.default_rng(0)
    once = visits(80, rng.random).drop_duplicates(["user_id", "item_id"])
    found = split_half_reliability(once, InterestWeights(), rng=rng)
    (finding,) = found.findings()
    assert sentence(finding).endswith("cannot be known: no pair met twice.")
    few = split_half_reliability(visits(10, rng.random), InterestWeights(), rng=rng)
    (finding,) = few.findings()
    assert finding.values == {"share_once": 0, "n_twice": 20}


def test_both_halves_are_measured_by_the_scale_of_the_whole_log():
    events = pd.DataFrame({"user_id": "u", "item_id": ["x", "x", "y", "y"]})
    events["rating"] = [4.0, 4.0, 2.0, 2.0]
    found = split_half_reliability(events, InterestWeights(), rng=np.random.default_rng(0))
    assert found.table["n_pairs"].to_dict() == {"interest": 2, "rating": 2}
    assert found.table["correlation"].isna().all()  # too few for an interval


def test_columns_that_say_nothing_of_interest_take_no_memory_here():
    rng = np.random.default_rng(0)
    events = visits(2000, rng.random)
    wide = events.assign(**{f"note {number}": rng.random(len(events)) for number in range(40)})
    peak_of_reliability(events)  # the first time imports modules, and maps the ids of both
    assert peak_of_reliability(wide) < 1.1 * peak_of_reliability(events)


def peak_of_reliability(events):
    tracemalloc.start()
    split_half_reliability(events, InterestWeights(), rng=np.random.default_rng(0), n_resamples=5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_the_interval_of_a_correlation_draws_whole_units():
    rng = np.random.default_rng(1)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)
    alone = bootstrap_correlation(x, y, np.arange(400), rng=rng)
    assert alone.low < 0.69 < alone.high  # Spearman's rho where Pearson's is 1 / sqrt(2)
    tripled = bootstrap_correlation(
        np.tile(x, 3), np.tile(y, 3), np.tile(np.arange(400), 3), rng=rng
    )
    assert tripled.estimate == pytest.approx(alone.estimate, abs=1e-3)
    assert tripled.high - tripled.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert np.isnan(bootstrap_correlation([1, 1], [1, 2], [0, 1], rng=rng).estimate)


def matrix(values):
    users = [f"u{number}" for number in range(len(values))]
    items = [f"i{number}" for number in range(len(values[0]))]
    return InterestMatrix(csr_array(np.array(values)), pd.Index(users), pd.Index(items))


def test_counting_is_set_beside_the_degrees():
    other = counting_findings(matrix([[1.0, 2, 1]]), matrix([[0.9, 0.1, 0.5]]))
    assert other[0].values["share_least"] == 2 / 3
    assert sentence(other[0]).startswith("Counting says something else than interest")
    same = counting_findings(matrix([[1.0, 1]]), matrix([[0.9, 0.1]]))
    assert sentence(same[0]).startswith("Counting cannot tell the 2 pairs apart")
    nothing = counting_findings(matrix([[1.0, 1]]), matrix([[1.0, 1]]))
    assert nothing[0].place == ""
    assert sentence(nothing[0]).startswith("Each of the 2 pairs has the same degree")
    alike = counting_findings(matrix([[1.0, 2, 3]]), matrix([[0.1, 0.2, 0.3]]))
    assert sentence(alike[0]).startswith("Counting says nearly the same as interest")
    with pytest.raises(ValueError, match="must hold the same pairs"):
        counting_findings(matrix([[1.0, 0]]), matrix([[0.0, 1]]))


def test_the_matrix_says_what_is_known_and_what_is_cold():
    events = pd.DataFrame({"user_id": list("ab"), "item_id": list("xx"), "rating": [5.0, 3.0]})
    items = pd.DataFrame({"item_id": list("xyz")})
    found = matrix_findings(interest_matrix(Tables.validated(events=events, items=items)))
    assert sentence(found[0]) == (
        "Of the cells of 2 people and 3 items 33.3 % are known (2 pairs). Cold, without any "
        "interest: people 0, items 2."
    )


def test_the_commonest_degree_says_which_signs_make_it():
    events = pd.DataFrame({"user_id": list("abcdef"), "item_id": "x", "duration": 10.0})
    events["watch_time"] = [10.0, 20.0, 10.0, 1.0, 2.0, 3.0]
    events["like_count"] = pd.array([0, 0, 0, 0, 0, 1], dtype="Int64")
    weights = InterestWeights(watch=0.6, like=0.2)
    (found,) = commonest_degree(pair_totals(events), weights)
    assert found.values == {"degree": 0.75, "share": 0.5, "signs": ("watch 1", "like 0")}
    assert commonest_degree(pair_totals(events[:3]), weights) == []  # all have the same


def test_steps_that_stay_are_set_beside_chance():
    steps = csr_array(np.array([[0.0, 6, 1], [0, 0, 0], [1, 0, 0]]))
    (found,) = stay_findings(steps, pd.Series(["war", "war", "love"]), "category")
    assert found.values["stays"] == 6 / 8
    assert found.values["by_chance"] == pytest.approx(7 / 8 * 7 / 8 + 1 / 8 * 1 / 8)
    assert sentence(found).startswith("75 % of 8 next steps within a session stay in the same cat")
    assert stay_findings(steps, pd.Series(["war"] * 3), "category") == []


def test_the_weights_of_a_log_are_those_of_its_signs():
    signs = pd.DataFrame({"watch": [1.0], "rating": [1.0]})
    table = weights_table(signs, InterestWeights(watch=0.3, rating=0.1))
    assert table["share of the sum"].tolist() == pytest.approx([0.75, 0.25])
