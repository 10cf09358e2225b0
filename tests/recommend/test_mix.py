"""A weighted sum of models: its weights, its parts, and two settings of one model in a run."""

import dataclasses

import numpy as np
import pytest
from worlds import COLD_USER, N_ITEMS, N_USERS, random_world

from kpay_lab.recommend import ALS, EASE
from kpay_lab.recommend.base import top_k
from kpay_lab.recommend.choose import build_model, build_models, choose_models, own_names
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.markov import Markov
from kpay_lab.recommend.mix import Blend, Mix, Shares

EVERYBODY = np.arange(N_USERS)
WARM = np.arange(COLD_USER)


@pytest.fixture(scope="module")
def world():
    return random_world()


def without(world, table, *columns):
    frame = getattr(world.tables, table).drop(columns=list(columns))
    return dataclasses.replace(world, tables=dataclasses.replace(world.tables, **{table: frame}))


def undescribed(world):
    names = ("category", "brand", "price", "title", "description")
    return without(world, "items", *(name for name in names if name in world.tables.items))


def ease_and_als(*weights):
    return Mix(parts={"ease": EASE(), "als": ALS(n_factors=4)}, weights=weights)


def test_with_all_weight_on_one_part_it_ranks_as_that_part(world):
    seen = world.interest.values
    for weights, single in (((1, 0), EASE()), ((0, 1), ALS(n_factors=4))):
        mixed = top_k(ease_and_als(*weights).fit(world), WARM, N_ITEMS, exclude=seen)
        alone = top_k(single.fit(world), WARM, N_ITEMS, exclude=seen)
        np.testing.assert_array_equal(mixed.items, alone.items)


def test_it_is_the_weighted_mean_of_what_the_parts_score_within_a_user(world):
    model = ease_and_als(1, 3).fit(world)
    parts = [ease_and_als(*weights).fit(world).score(WARM) for weights in ((1, 0), (0, 1))]
    np.testing.assert_allclose(model.score(WARM), 0.25 * parts[0] + 0.75 * parts[1], atol=1e-12)
    assert np.abs(parts[0] - parts[1]).max() > 0.5


def test_only_the_proportion_of_the_weights_counts(world):
    small, large = (ease_and_als(*weights).fit(world).score(WARM) for weights in ((1, 3), (10, 30)))
    np.testing.assert_allclose(small, large, rtol=1e-12)


def test_blend_is_a_mix_of_content_interest_and_sequence(world):
    parts = {"content": ContentBased(), "ease": EASE(), "markov": Markov()}
    mix = Mix(parts=parts, weights=(0.5, 0.3, 0.2)).fit(world)
    assert isinstance(build_model("blend"), Mix)
    np.testing.assert_array_equal(Blend().fit(world).score(EVERYBODY), mix.score(EVERYBODY))


def test_the_parts_given_stay_as_they_were(world):
    model = ease_and_als(1, 1)
    model.fit(world)
    assert not hasattr(model.parts["ease"], "item_weights_")


def test_other_weights_without_learning_again_are_as_if_fitted_with_them(world):
    fitted = ease_and_als(1, 1).fit(world)
    for weights in ((0.3, 0.7), (0, 1)):
        again = fitted.reweighted(weights)
        assert again.parts_["als"] is fitted.parts_["als"]
        anew = ease_and_als(*weights).fit(world)
        np.testing.assert_array_equal(again.score(EVERYBODY), anew.score(EVERYBODY))
    assert fitted.weights == (1, 1)
    with pytest.raises(ValueError, match="Mix: ease had no weight when the mix was fitted"):
        ease_and_als(0, 1).fit(world).reweighted((1, 1))


def test_a_part_without_data_is_left_out_with_the_reason(world):
    bare = undescribed(world)
    parts = {"content": ContentBased(), "ease": EASE(), "markov": Markov()}
    model = Mix(parts=parts, weights=(2, 1, 1)).fit(bare)
    assert model.left_out_ == {"content": "nothing describes the items"}
    two = Mix(parts={"ease": EASE(), "markov": Markov()}).fit(bare)
    np.testing.assert_array_equal(model.score(EVERYBODY), two.score(EVERYBODY))
    with pytest.raises(ValueError, match=r"no part with data \(content: nothing describes"):
        Mix(parts=parts, weights=(1, 0, 0)).fit(bare)
    with pytest.raises(ValueError, match="no part with data"):
        model.reweighted((1, 0, 0))


def test_a_mix_and_its_parts_are_left_out_of_a_run_by_name(world):
    wanted = {"next": {"model": "markov"}, "mix": {"parts": ["content", "ease", "als"]}}
    models, left_out = choose_models(wanted, undescribed(world))
    assert [*models] == ["popularity", "next", "mix"]
    assert left_out == {"content of mix": "nothing describes the items"}
    _, left_out = choose_models(wanted, without(world, "events", "timestamp"))
    assert left_out == {"next": "the log has no times, so what came next is not known"}
    alone = {"mix": {"parts": ["content", "ease"]}}
    models, left_out = choose_models(alone, undescribed(world))
    assert [*models] == ["popularity"]
    assert left_out == {"mix": "of its parts only ease has data, and it would be that alone"}


def test_newcomers_are_scored_where_the_parts_can(world):
    can = Mix(parts={"ease": EASE(), "content": ContentBased()}, weights=(0.4, 0.6)).fit(world)
    newcomers = can.score_new(world.interest.values)
    np.testing.assert_allclose(newcomers, can.score(EVERYBODY), rtol=1e-12, atol=1e-14)
    cannot = Mix(parts={"ease": EASE(), "next": Markov()}, weights=(0.4, 0.6)).fit(world)
    with pytest.raises(ValueError, match=r"Mix: its part next .* weights=\[0.4, 0\]"):
        cannot.score_new(world.interest.values)


def test_parts_without_settings_are_the_models_of_the_run():
    wanted = {
        "mix": {"parts": ["ease_800", "als"]},
        "ease_800": {"model": "ease", "reg": 800},
        "other": {"model": "mix", "parts": {"ease_800": {"model": "ease", "reg": 8}, "als": {}}},
    }
    models = build_models(wanted)
    assert [*models] == [*wanted]
    assert models["mix"].parts["ease_800"] is models["ease_800"]
    assert models["mix"].parts["als"] == ALS()
    assert models["other"].parts["ease_800"] == EASE(reg=8)
    assert own_names(models) == {"mix": "mix", "ease_800": "ease", "other": "mix"}


def test_weights_are_drawn_over_all_parts_by_seed():
    drawn = [Shares(3).rvs(np.random.RandomState(seed)) for seed in range(300)]
    assert drawn[7] == Shares(3).rvs(np.random.RandomState(7))
    assert np.abs(np.sum(drawn, axis=1) - 1).max() < 0.03
    assert np.min(drawn) >= 0.01
    np.testing.assert_allclose(np.mean(drawn, axis=0), 1 / 3, atol=0.06)


def test_the_faults_of_all_models_of_a_run_are_said_at_once():
    wanted = {
        "mix": {"parts": ["ease_8", "asl"]},
        "ease_8": {"model": "ease", "reg": -8},
        "als": {"n_factors": 0, "reg": -1},
    }
    with pytest.raises(ValueError) as raised:
        build_models(wanted)
    lines = str(raised.value).splitlines()
    beginnings = [
        "model ease_8: reg",
        "model als: n_factors",
        "model als: reg",
        "model mix: parts:",
    ]
    assert all(line.startswith(said) for line, said in zip(lines, beginnings, strict=True))
    assert "model 'asl' is unknown" in lines[-1]
