"""A sample of the users is evaluated: drawn by chance, said, and about all of them."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.compare import compare, protocol_gap
from kpay_lab.evaluate.sample import sample_users
from kpay_lab.evaluate.split import Split, make_split
from kpay_lab.findings import sentence
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Training
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.popularity import Popularity
from kpay_lab.stats import bootstrap_means

binary = partial(interest_matrix, weighting="binary")
MODELS = {"popularity": Popularity(), "ease": EASE(reg=20.0)}


@pytest.fixture(scope="module")
def split(small_world):
    return make_split(small_world[0], binary)


def rng(seed=0):
    return np.random.default_rng(seed)


def ids_of(split):
    return split.train.interest.users[split.users]


def rows_in_another_order(tables):
    mixed = {
        name: frame.iloc[rng(1).permutation(len(frame))].reset_index(drop=True)
        for name, frame in tables.present().items()
    }
    return replace(tables, **mixed)


def test_a_sample_of_everybody_is_the_split_itself(split):
    n_users = len(split.users)
    for most in (n_users, n_users + 1, 5000):
        assert sample_users(split, most, rng=rng()) is split
    assert split.drawn_from is None
    assert not any("drawn by chance" in line for line in split.describe())


def test_a_sample_has_as_many_users_as_were_asked_for_and_what_they_have_to_find(split):
    some = sample_users(split, 30, rng=rng())
    assert len(some.users) == 30
    assert set(some.users) <= set(split.users)
    assert (some.test[some.users] != split.test[some.users]).nnz == 0
    assert some.train is split.train
    assert some.drawn_from is split


def test_the_seed_decides_who_is_drawn(split):
    first = sample_users(split, 30, rng=rng(0))
    again = sample_users(split, 30, rng=rng(0))
    other = sample_users(split, 30, rng=rng(1))
    np.testing.assert_array_equal(first.users, again.users)
    assert set(first.users) != set(other.users)


def test_neither_the_order_of_rows_nor_new_names_change_who_is_drawn(small_world, split):
    """Each user of this world met other items than all others, so that they can be told apart."""
    tables = small_world[0]
    n_different = len({tuple(row) for row in split.train.interest.values.toarray() > 0})
    assert n_different >= len(split.users)
    expected = set(ids_of(sample_users(split, 30, rng=rng())))
    mixed = make_split(rows_in_another_order(tables), binary)
    assert set(ids_of(sample_users(mixed, 30, rng=rng()))) == expected
    backwards = {name: f"p{len(name)}{name[::-1]}" for name in tables.ids("user_id")}
    renamed = {
        name: frame.assign(user_id=frame["user_id"].map(backwards))
        for name, frame in tables.present().items()
        if "user_id" in frame
    }
    masked = make_split(replace(tables, **renamed), binary)
    assert set(ids_of(sample_users(masked, 30, rng=rng()))) == {backwards[id] for id in expected}


def test_every_user_has_the_same_chance():
    """Most of these users met the same item and turned to the same one: they are alike."""
    split = split_of(np.r_[np.zeros(80, dtype=int), np.arange(1, 21)], n_items=22)
    times_drawn = np.zeros(100)
    for seed in range(2000):
        times_drawn[sample_users(split, 25, rng=rng(seed)).users] += 1
    spread = np.sqrt(2000 * 0.25 * 0.75)
    assert np.abs(times_drawn - 500).max() < 4.5 * spread


def split_of(item_met: np.ndarray, n_items: int) -> Split:
    """Return a split in which user u met one item and has the last one to find."""
    n_users = len(item_met)
    users = np.arange(n_users)
    shape = (n_users, n_items)
    met = csr_array((np.ones(n_users), (users, item_met)), shape=shape)
    last_item = np.full(n_users, n_items - 1)
    names = pd.Index([f"u{user}" for user in users], name="user_id")
    titles = pd.Index([f"i{item}" for item in range(n_items)], name="item_id")
    return Split(
        train=Training(InterestMatrix(met, names, titles)),
        test=csr_array((np.ones(n_users), (users, last_item)), shape=shape),
        candidates=np.ones(n_items, dtype=bool),
        seen=met,
        test_events=pd.DataFrame(),
        how="given",
        relevant="any",
        threshold=0.5,
        candidate_kinds=(),
        pool="all",
        cut=None,
        already_seen=0,
        unreachable=0,
        left_out=pd.Series(dtype=int),
    )


@pytest.mark.slow
def test_intervals_of_a_sample_cover_the_figure_of_all_users():
    """A tenth of the users, whose scores are mostly 0, as those of lists are; 2,000 samples."""
    n_users = 3000
    draw = rng(7)
    scores = draw.beta(1.0, 4.0, (n_users, 2)) * (draw.random((n_users, 2)) < 0.35)
    scores[:, 1] += 0.4 * scores[:, 0]
    with_lead = np.column_stack([scores, scores[:, 1] - scores[:, 0]])
    of_all = with_lead.mean(axis=0)
    split = split_of(draw.integers(0, 400, n_users), n_items=401)
    n_samples = 2000
    n_covered = np.zeros(3)
    means = []
    for seed in range(n_samples):
        sampled = with_lead[sample_users(split, 300, rng=rng(seed)).users]
        means.append(sampled.mean(axis=0))
        intervals = bootstrap_means(sampled, rng=rng(seed + n_samples), n_resamples=500)
        n_covered += [
            interval.low <= truth <= interval.high
            for interval, truth in zip(intervals, of_all, strict=True)
        ]
    error_of_mean = np.std(means, axis=0) / np.sqrt(n_samples)
    assert (np.abs(np.mean(means, axis=0) - of_all) < 4 * error_of_mean).all()
    # The interval is of a mean over ever new users. Of a tenth of finitely many it covers
    # 2 Φ(1.96 / √0.9) - 1 = 96.1 %; 500 resamples and 300 users take a little of that away.
    coverage = n_covered / n_samples
    assert (coverage > 0.94).all() and (coverage < 0.98).all()


def test_a_sample_is_said(split):
    some = sample_users(split, 60, rng=rng())
    n_all = len(split.users)
    (said,) = [finding for finding in some.findings() if finding.key == "split/sample"]
    words = sentence(said)
    assert f"60 of {n_all}" in words and "drawn by chance" in words
    assert words in some.describe()
    table = some.table()["count"]
    assert table["users"] == n_all
    assert table["pairs"] == split.test.nnz


@dataclass
class Counting(EASE):
    """EASE that notes how often it learned, and from how many users' degrees."""

    fits: list = field(default_factory=list)

    def fit(self, train):
        self.fits.append(train.interest.values.nnz)
        return super().fit(train)


def test_a_comparison_and_the_gap_learn_once_from_each_split(small_world, split):
    counting = Counting(reg=20.0)
    models = {"popularity": Popularity(), "ease": counting}
    compared = compare(models, split)
    hows = ["random_per_user", "leave_last_out", "time"]
    known = {"time": compared}
    gap = protocol_gap(
        models, small_world[0], binary, hows=hows, rng=rng(), known=known, **split.question
    )
    assert len(counting.fits) == 3
    assert len(set(counting.fits)) == 3
    in_time = gap[gap["split"] == "time"].set_index("model")["value"]
    ndcg = compared.table().set_index("model")["ndcg"]
    assert in_time.to_dict() == ndcg.to_dict()
    anew = protocol_gap(MODELS, small_world[0], binary, hows=hows, rng=rng(), **split.question)
    pd.testing.assert_frame_equal(gap, anew)


def test_the_gap_is_measured_on_as_many_users_under_each_split(small_world):
    hows = ["random_per_user", "leave_last_out", "time"]
    found = protocol_gap(MODELS, small_world[0], binary, hows=hows, rng=rng(), most_users=40)
    assert (found["users"] <= 40).all()
    assert found["users"].max() == 40


def test_what_was_fitted_stays_fitted_to_its_own_split(small_world, split):
    compared = compare(MODELS, split)
    weights = compared.fitted["ease"].item_weights_.copy()
    protocol_gap(MODELS, small_world[0], binary, hows=["random_per_user"], rng=rng())
    np.testing.assert_array_equal(compared.fitted["ease"].item_weights_, weights)


def test_a_workbench_comparison_of_a_sample_says_so(small_world):
    import kpay_lab as kp

    log = kp.open_log(small_world[0])
    asked = {"n_trials": 0, "n_resamples": 100}
    all_users = kp.compare(log, ["popularity"], **asked)
    as_many = kp.compare(
        log, ["popularity"], max_users_evaluated=len(all_users.split.users), **asked
    )
    pd.testing.assert_frame_equal(all_users.summary, as_many.summary)
    sampled = kp.compare(log, ["popularity"], max_users_evaluated=60, **asked)
    assert sampled.values["user_id"].nunique() == 60
    assert "drawn by chance" in repr(sampled)
    with pytest.raises(ValueError, match="max_users_evaluated is 0"):
        kp.compare(log, ["popularity"], max_users_evaluated=0)


def test_users_who_met_nothing_before_can_be_drawn(small_world):
    tables = small_world[0]
    events = tables.events
    newest = events["user_id"].drop_duplicates().iloc[-40:]
    last = events["timestamp"].max()
    is_new = events["user_id"].isin(newest) & (events["timestamp"] < last - pd.Timedelta(days=3))
    with_new = Tables(**tables.present() | {"events": events[~is_new]})
    split = make_split(with_new, binary, cold_users=True)
    n_met = np.diff(split.train.interest.values.indptr)
    assert (n_met[split.users] == 0).sum() > 10
    some = sample_users(split, len(split.users) // 2, rng=rng())
    assert 0 < (n_met[some.users] == 0).sum() < (n_met[split.users] == 0).sum()
