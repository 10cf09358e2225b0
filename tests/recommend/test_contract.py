"""What every model of MODELS must do."""

import numpy as np
import pandas as pd
import pytest
from worlds import COLD_ITEM, COLD_USER, N_ITEMS, N_USERS, checkerboard, permuted, random_world

from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend import MODELS
from kpay_lab.recommend.base import Training, top_k
from kpay_lab.recommend.popularity import Popularity, WithFallback

EVERYBODY = np.arange(N_USERS)
NOT_PERSONAL = {
    "random": "draws its answer",
    "popularity": "one list for everybody, and all items are equally popular",
    "baseline": "equal degrees leave no bias of an item",
}
DRAWS_BY_POSITION = {
    "random": "a user's draw belongs to the position",
    "als": "starting factors belong to positions",
    "forest": "pairs are drawn by position",
}
DESCRIBES_COLD_ITEMS = {"content", "blend", "forest"}


@pytest.fixture(scope="module")
def world():
    return random_world()


@pytest.fixture(scope="module")
def fitted(world):
    return {name: model().fit(world) for name, model in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
def test_scores_every_item_with_a_number(name, fitted):
    scores = fitted[name].score(EVERYBODY)
    assert scores.shape == (N_USERS, N_ITEMS)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", MODELS)
def test_seen_items_never_come_back(name, fitted, world):
    seen = world.interest.values
    top = top_k(fitted[name], EVERYBODY, N_ITEMS, exclude=seen)
    for user, items in zip(top.users, top.items, strict=True):
        listed = items[items >= 0]
        assert set(listed) == set(range(COLD_ITEM)) - set(seen[[user]].indices)
        assert (items[len(listed) :] == -1).all()


@pytest.mark.parametrize("name", MODELS)
def test_batch_equals_single(name, fitted):
    together = fitted[name].score(EVERYBODY)
    alone = np.vstack([fitted[name].score(np.array([user])) for user in EVERYBODY])
    # BLAS adds up in another order for another shape; four units in the last place.
    unit = np.finfo(together.dtype).eps * np.abs(together).max()
    np.testing.assert_allclose(alone, together, rtol=0, atol=4 * unit)


@pytest.mark.parametrize("name", MODELS)
def test_refit_equals_first_fit(name, world):
    model = MODELS[name]()
    first = np.array(model.fit(world).score(EVERYBODY))
    model.fit(checkerboard())
    np.testing.assert_array_equal(model.fit(world).score(EVERYBODY), first)


@pytest.mark.parametrize("name", MODELS)
def test_input_is_untouched(name):
    given, kept = random_world(), random_world()
    top_k(MODELS[name]().fit(given), EVERYBODY, 5, exclude=given.interest.values)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(
            getattr(given.interest.values, part), getattr(kept.interest.values, part)
        )
    for table, frame in given.tables.present().items():
        pd.testing.assert_frame_equal(frame, getattr(kept.tables, table))


@pytest.mark.parametrize("name", MODELS)
def test_ranking_leaves_the_model_as_it_was(name, fitted, world):
    before = np.array(fitted[name].score(EVERYBODY))
    top_k(fitted[name], EVERYBODY, 5, exclude=world.interest.values)
    np.testing.assert_array_equal(fitted[name].score(EVERYBODY), before)


@pytest.mark.parametrize("name", MODELS)
def test_asking_in_another_order_permutes_the_answer(name, fitted):
    order = np.random.default_rng(0).permutation(EVERYBODY)
    np.testing.assert_allclose(
        fitted[name].score(order), fitted[name].score(EVERYBODY)[order], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", [name for name in MODELS if name not in DRAWS_BY_POSITION])
def test_renumbered_users_permute_the_answer(name, fitted, world):
    order = np.random.default_rng(0).permutation(EVERYBODY)
    renumbered = MODELS[name]().fit(permuted(world, order)).score(EVERYBODY)
    np.testing.assert_allclose(
        renumbered, fitted[name].score(EVERYBODY)[order], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", MODELS)
def test_cold_user(name, fitted):
    answer = fitted[name].score(np.array([COLD_USER]))[0]
    if name == "random":
        assert len(np.unique(answer)) == N_ITEMS
    elif name == "popularity":
        np.testing.assert_array_equal(answer, fitted[name].popularity_)
    elif name == "baseline":
        model = fitted[name]
        np.testing.assert_array_equal(answer, model.mean_ + model.item_bias_)
    elif name == "forest":
        assert len(np.unique(answer)) > 1
    else:
        assert not answer.any()


@pytest.mark.parametrize("name", MODELS)
def test_fallback_answers_for_cold_users_only(name, fitted, world):
    model = WithFallback(model=MODELS[name]()).fit(world)
    warm = np.arange(COLD_USER)
    np.testing.assert_array_equal(model.score(warm), fitted[name].score(warm))
    np.testing.assert_array_equal(
        model.score(EVERYBODY)[COLD_USER], Popularity().fit(world).popularity_
    )


@pytest.mark.parametrize("name", MODELS)
def test_cold_item_is_listed_only_by_name(name, fitted, world):
    seen, by_name = world.interest.values, np.arange(N_ITEMS) == COLD_ITEM
    assert COLD_ITEM not in top_k(fitted[name], EVERYBODY, N_ITEMS, exclude=seen).items
    top = top_k(fitted[name], EVERYBODY, 1, exclude=seen, candidates=by_name)
    assert (top.items == COLD_ITEM).all()
    scores = fitted[name].score(np.arange(COLD_USER))[:, COLD_ITEM]
    if name in DESCRIBES_COLD_ITEMS:
        assert len(np.unique(scores)) > 5
    elif name not in ("random", "baseline"):
        assert not scores.any()


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NOT_PERSONAL])
def test_checkerboard_gives_back_what_was_withheld(name):
    board = checkerboard()
    users = np.arange(len(board.interest.users))
    top = top_k(MODELS[name]().fit(board), users, 1, exclude=board.interest.values)
    np.testing.assert_array_equal(top.items[:, 0], users)


def test_every_model_reads_the_simulated_world(small_world):
    tables, _ = small_world
    train = Training(interest_matrix(tables), tables)
    seen = train.interest.values
    for model in MODELS.values():
        top = top_k(model().fit(train), np.arange(seen.shape[0]), 10, exclude=seen)
        assert (top.items >= 0).mean() > 0.9
        assert np.isfinite(top.scores[top.items >= 0]).all()


def test_exemptions_name_models():
    assert set(NOT_PERSONAL) | set(DRAWS_BY_POSITION) <= set(MODELS)
