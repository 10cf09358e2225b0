"""Every model that has settings gets the same search, on users of the training part alone."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from kpay_lab.evaluate import search
from kpay_lab.evaluate.compare import compare
from kpay_lab.evaluate.search import tune, validation_slice
from kpay_lab.evaluate.split import make_split
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend import MODELS
from kpay_lab.recommend.choose import build_model, build_models
from kpay_lab.recommend.ease import EASE
from kpay_lab.settings import setting_faults

binary = partial(interest_matrix, weighting="binary")
WITH_SPACE = [name for name in MODELS if hasattr(MODELS[name], "space")]


@pytest.fixture(scope="module")
def split(small_world):
    return make_split(small_world[0], binary)


def rng():
    return np.random.default_rng(0)


def tuned(split, names=("popularity", "ease", "item_neighbours", "blend"), n_trials=3, **more):
    models = {name: build_model(name) for name in names}
    return tune(models, split, binary, n_trials=n_trials, rng=np.random.default_rng(0), **more)


@pytest.mark.parametrize("name", WITH_SPACE)
def test_every_value_of_a_space_makes_a_model(name):
    for setting, values in build_model(name).space.items():
        assert len(values) > 1
        for value in values:
            assert setting_faults(MODELS[name], {setting: value}, name) == []


def test_every_model_with_settings_that_matter_has_a_space():
    assert set(MODELS) - set(WITH_SPACE) == {"random", "popularity"}


@dataclass
class NeedsRoom(EASE):
    """EASE on a machine on which small values of ``reg`` do not fit into memory."""

    def lacks(self, train):
        return "too little memory" if self.reg < 200 else ""

    def fit(self, train):
        assert not self.lacks(train)
        return super().fit(train)


def test_a_setting_that_the_machine_cannot_hold_is_not_tried(split):
    model = NeedsRoom(reg=400.0)
    spaces = {"mine": {"reg": [10.0, 100.0, 300.0, 1000.0]}}
    found = tune({"mine": model}, split, binary, n_trials=5, rng=rng(), spaces=spaces)
    assert set(found.trials["mine"]["reg"]) == {400.0, 300.0, 1000.0}
    assert found.table.set_index("model").loc["mine", "trials"] == 3


def test_each_gets_the_same_trials_and_slow_ones_two(split):
    table = tuned(split).table.set_index("model")
    assert table["trials"].to_dict() == {
        "popularity": 0,
        "ease": 3,
        "item_neighbours": 3,
        "blend": 2,
    }
    assert table.loc["popularity", "settings"] == "as configured"
    assert table.loc["ease", "settings"].startswith("reg=")
    assert table["value"].isna().tolist() == [True, False, False, False]


def test_the_first_trial_is_the_model_as_configured_and_the_best_is_taken(split):
    found = tuned(split, ["ease"], 6)
    trials = found.trials["ease"]
    assert EASE().reg in trials["reg"].tolist()
    assert trials["reg"].is_unique
    assert found.models["ease"].reg == trials["reg"].iloc[0]
    assert trials["value"].is_monotonic_decreasing
    (alone,) = tuned(split, ["ease"], 1).trials["ease"]["reg"]
    assert alone == EASE().reg


def test_zero_trials_mean_as_configured_and_the_table_says_so(split):
    found = tuned(split, n_trials=0)
    assert (found.table["settings"] == "as configured").all()
    assert (found.table["trials"] == 0).all()
    assert found.models["ease"] == EASE()


def test_what_somebody_has_set_is_not_searched(split):
    found = tuned(split, ["ease", "als"], given={"ease": {"reg": 7.0}, "als": {"reg": 1.0}})
    table = found.table.set_index("model")
    assert table.loc["ease", "settings"] == "as configured"
    assert "n_factors=" in table.loc["als", "settings"]
    assert not table.loc["als", "settings"].startswith("reg=")


def test_a_models_draws_do_not_depend_on_the_others(split):
    names = ["als", "markov"]
    found = tuned(split, names).trials["als"]["reg"]
    assert found.tolist() == tuned(split, [names[0], "ease"]).trials["als"]["reg"].tolist()


def test_the_slice_is_of_training_and_of_few_users(split, monkeypatch):
    monkeypatch.setattr(search, "MOST_USERS", 20)
    found = validation_slice(split, binary, rng=np.random.default_rng(0))
    assert len(found.users) == 20
    assert found.cut < split.cut
    stamps = []

    @dataclass(kw_only=True)
    class Watched(EASE):
        def fit(self, train):
            stamps.append(train.tables.events["timestamp"].max())
            return super().fit(train)

    shut = replace(split, test=csr_array(split.test.shape), seen=csr_array(split.seen.shape))
    tables = [
        tune({"w": Watched()}, part, binary, n_trials=2, rng=np.random.default_rng(0)).table
        for part in (split, shut)
    ]
    pd.testing.assert_frame_equal(*tables)
    assert max(stamps) < split.cut


def test_weights_of_a_mix_are_searched_and_its_parts_learn_once(split, monkeypatch):
    fits = []
    fit = EASE.fit
    monkeypatch.setattr(EASE, "fit", lambda self, train: fits.append(self.reg) or fit(self, train))
    mix = build_model("mix", {"parts": {"ease": {}, "ease_9": {"model": "ease", "reg": 9}}})
    found = tune({"mix": mix}, split, binary, n_trials=5, rng=np.random.default_rng(0))
    assert sorted(fits) == [9, 400]
    trials = found.trials["mix"]
    assert len(trials) == 5 and trials["weights"].is_unique
    assert (0.5, 0.5) in trials["weights"].tolist()
    assert found.models["mix"].weights == trials["weights"].iloc[0]
    assert found.table["settings"].tolist() == [f"weights={trials['weights'].iloc[0]}"]
    validation = validation_slice(split, binary, rng=np.random.default_rng(0))
    again = compare({"mix": found.models["mix"]}, validation, [10], floor="mix")
    ndcg = again.values.query("metric == 'ndcg'")["value"].mean()
    assert ndcg == pytest.approx(trials["value"].iloc[0], abs=1e-12)


def test_weights_that_somebody_has_set_are_not_searched(split):
    wanted = {"mix": {"parts": ["ease", "markov"], "weights": [0.3, 0.7]}}
    found = tune(build_models(wanted), split, binary, n_trials=3, given=wanted, rng=rng())
    assert found.table["settings"].tolist() == ["as configured"]
    assert found.models["mix"].weights == [0.3, 0.7]


def test_parts_that_are_models_of_the_run_take_the_settings_chosen_for_them(split):
    wanted = {
        "mix": {"parts": ["ease", "markov"]},
        "own": {"model": "mix", "parts": {"ease": {"reg": 400.0}, "markov": {}}},
        "blend": {},
        "ease": {},
    }
    found = tune(build_models(wanted), split, binary, n_trials=6, given=wanted, rng=rng())
    chosen = found.models["ease"].reg
    assert chosen != 400.0
    assert [*found.models] == [*wanted]
    assert found.models["mix"].parts["ease"].reg == chosen
    assert found.models["own"].parts["ease"].reg == 400.0
    assert found.models["blend"].parts["ease"].reg == 400.0


def test_two_settings_of_one_model_are_compared_by_their_own_names(split):
    wanted = {"ease_800": {"model": "ease", "reg": 800.0}, "ease": {"reg": 10.0}}
    models = build_models(wanted)
    result = compare({"popularity": build_model("popularity"), **models}, split)
    alone = compare({"ease": EASE(reg=800.0)}, split).values["value"]
    named = result.values.query("model == 'ease_800'")["value"]
    np.testing.assert_array_equal(named, alone)
    assert not np.array_equal(named, result.values.query("model == 'ease'")["value"])
