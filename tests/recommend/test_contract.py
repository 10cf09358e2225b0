"""What every model must do: each of MODELS, and a mix of two of them."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, vstack
from scipy.stats import spearmanr
from worlds import COLD_ITEM, COLD_USER, N_ITEMS, N_USERS, checkerboard, permuted, random_world

from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend import MODELS, Blend, UserNeighbours
from kpay_lab.recommend.base import (
    Explains,
    ScoresCandidates,
    ScoresNewcomers,
    Training,
    scoring_newcomers,
    top_k,
)
from kpay_lab.recommend.choose import build_model
from kpay_lab.recommend.popularity import Popularity, WithFallback

MAKERS = {**MODELS, "mix": partial(build_model, "mix", {"parts": ["ease", "content"]})}
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
LINEAR = ("popularity", "baseline", "content", "item_neighbours", "ease")  # in a user's history
OTHERS_FOR_NEWCOMERS = ("als", "user_neighbours")
NOT_FOR_NEWCOMERS = {
    "random": "draws by position",
    "markov": "degrees do not say what came last",
    "forest": "the users' table knows no newcomer",
}
DESCRIBES_COLD_ITEMS = {"content", "blend", "mix", "forest"}


@pytest.fixture(scope="module")
def world():
    return random_world()


@pytest.fixture(scope="module")
def fitted(world):
    return {name: model().fit(world) for name, model in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_scores_every_item_with_a_number(name, fitted):
    scores = fitted[name].score(EVERYBODY)
    assert scores.shape == (N_USERS, N_ITEMS)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", MAKERS)
def test_nobody_gets_no_scores(name, fitted):
    assert fitted[name].score(EVERYBODY[:0]).shape == (0, N_ITEMS)


@pytest.mark.parametrize("name", MAKERS)
def test_seen_items_never_come_back(name, fitted, world):
    seen = world.interest.values
    top = top_k(fitted[name], EVERYBODY, N_ITEMS, exclude=seen)
    for user, items in zip(top.users, top.items, strict=True):
        listed = items[items >= 0]
        assert set(listed) == set(range(COLD_ITEM)) - set(seen[[user]].indices)
        assert (items[len(listed) :] == -1).all()


@pytest.mark.parametrize("name", MAKERS)
def test_batch_equals_single(name, fitted):
    together = fitted[name].score(EVERYBODY)
    alone = np.vstack([fitted[name].score(np.array([user])) for user in EVERYBODY])
    # BLAS adds up in another order for another shape; four units in the last place.
    unit = np.finfo(together.dtype).eps * np.abs(together).max()
    np.testing.assert_allclose(alone, together, rtol=0, atol=4 * unit)


@pytest.mark.parametrize("name", MAKERS)
def test_refit_equals_first_fit(name, world):
    model = MAKERS[name]()
    first = np.array(model.fit(world).score(EVERYBODY))
    model.fit(checkerboard())
    np.testing.assert_array_equal(model.fit(world).score(EVERYBODY), first)


@pytest.mark.parametrize("name", MAKERS)
def test_input_is_untouched(name):
    given, kept = random_world(), random_world()
    top_k(MAKERS[name]().fit(given), EVERYBODY, 5, exclude=given.interest.values)
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(
            getattr(given.interest.values, part), getattr(kept.interest.values, part)
        )
    for table, frame in given.tables.present().items():
        pd.testing.assert_frame_equal(frame, getattr(kept.tables, table))


@pytest.mark.parametrize("name", MAKERS)
def test_ranking_leaves_the_model_as_it_was(name, fitted, world):
    before = np.array(fitted[name].score(EVERYBODY))
    top_k(fitted[name], EVERYBODY, 5, exclude=world.interest.values)
    np.testing.assert_array_equal(fitted[name].score(EVERYBODY), before)


@pytest.mark.parametrize("name", MAKERS)
def test_asking_in_another_order_permutes_the_answer(name, fitted):
    order = np.random.default_rng(0).permutation(EVERYBODY)
    np.testing.assert_allclose(
        fitted[name].score(order), fitted[name].score(EVERYBODY)[order], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in DRAWS_BY_POSITION])
def test_renumbered_users_permute_the_answer(name, fitted, world):
    order = np.random.default_rng(0).permutation(EVERYBODY)
    renumbered = MAKERS[name]().fit(permuted(world, order)).score(EVERYBODY)
    np.testing.assert_allclose(
        renumbered, fitted[name].score(EVERYBODY)[order], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", MAKERS)
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


@pytest.mark.parametrize("name", MAKERS)
def test_fallback_answers_for_cold_users_only(name, fitted, world):
    model = WithFallback(model=MAKERS[name]()).fit(world)
    warm = np.arange(COLD_USER)
    np.testing.assert_array_equal(model.score(warm), fitted[name].score(warm))
    np.testing.assert_array_equal(
        model.score(EVERYBODY)[COLD_USER], Popularity().fit(world).popularity_
    )


@pytest.mark.parametrize("name", MAKERS)
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


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in NOT_PERSONAL])
def test_checkerboard_gives_back_what_was_withheld(name):
    board = checkerboard()
    users = np.arange(len(board.interest.users))
    top = top_k(MAKERS[name]().fit(board), users, 1, exclude=board.interest.values)
    np.testing.assert_array_equal(top.items[:, 0], users)


def test_every_model_reads_the_simulated_world(small_world):
    tables, _ = small_world
    train = Training(interest_matrix(tables), tables)
    seen = train.interest.values
    for model in MAKERS.values():
        top = top_k(model().fit(train), np.arange(seen.shape[0]), 10, exclude=seen)
        assert (top.items >= 0).mean() > 0.9
        assert np.isfinite(top.scores[top.items >= 0]).all()


@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in LINEAR), ("item_neighbours", {"n_neighbors": 4})],
)
def test_training_rows_as_newcomers_score_as_the_users_did(name, settings, world):
    model = MODELS[name](**settings).fit(world)
    scores = model.score_new(world.interest.values)
    assert scores.dtype == model.score(EVERYBODY).dtype
    np.testing.assert_allclose(scores, model.score(EVERYBODY), rtol=1e-12, atol=1e-14)


def test_als_ranks_training_rows_as_newcomers_much_as_the_users(fitted, world):
    """The users' factors are half a step older than the items', a newcomer's are not."""
    warm = np.arange(COLD_USER)
    seen = world.interest.values[warm]
    as_users = fitted["als"].score(warm)
    as_newcomers = fitted["als"].score_new(seen)
    correlations = [spearmanr(*pair).statistic for pair in zip(as_users, as_newcomers, strict=True)]
    assert np.min(correlations) > 0.95
    assert not fitted["als"].score_new(csr_array((1, N_ITEMS))).any()


def test_als_solves_a_newcomers_weighted_ridge_regression(fitted, world):
    model = fitted["als"]
    degrees = world.interest.values[[5]].toarray()[0]
    Y = model.item_factors_.astype(float)
    confidence = np.where(degrees > 0, model.alpha * degrees, 1.0)
    left = Y.T @ (confidence[:, None] * Y) + model.reg * np.eye(model.n_factors)
    factors = np.linalg.solve(left, Y.T @ (confidence * (degrees > 0)))
    scores = model.score_new(world.interest.values[[5]])
    np.testing.assert_allclose(scores[0], Y @ factors, atol=1e-5)


@pytest.mark.parametrize("n_neighbors", [3, 100, None])
@pytest.mark.parametrize("similarity", ["cosine", "jaccard"])
def test_user_neighbours_score_a_newcomer_as_if_appended_and_refitted(
    n_neighbors, similarity, world
):
    old = world.interest
    newcomers = csr_array(np.random.default_rng(1).random((6, N_ITEMS)).round())
    model = UserNeighbours(n_neighbors=n_neighbors, similarity=similarity).fit(world)
    scores = model.score_new(newcomers)
    for row in range(6):
        values = csr_array(vstack([old.values, newcomers[[row]]]))
        longer = InterestMatrix(values, old.users.append(pd.Index(["new"])), old.items)
        refitted = UserNeighbours(n_neighbors=n_neighbors, similarity=similarity)
        expected = refitted.fit(Training.from_matrix(longer)).score(np.array([N_USERS]))
        np.testing.assert_allclose(scores[[row]], expected, rtol=1e-12, atol=1e-14)


def test_a_blend_scores_newcomers_where_its_parts_do(fitted, world):
    model = Blend(weights=(0.6, 0.4, 0.0)).fit(world)
    np.testing.assert_allclose(
        model.score_new(world.interest.values), model.score(EVERYBODY), rtol=1e-12, atol=1e-14
    )
    with pytest.raises(ValueError, match="Blend: its part markov cannot score newcomers; leave"):
        fitted["blend"].score_new(world.interest.values)


@pytest.mark.parametrize("name", NOT_FOR_NEWCOMERS)
def test_a_model_that_cannot_score_newcomers_is_refused_by_name(name, fitted, world):
    model = WithFallback(model=MAKERS[name]()).fit(world)
    kind = type(fitted[name]).__name__
    with pytest.raises(ValueError, match=f"{kind} cannot score newcomers .* such as ease, als"):
        model.score_new(world.interest.values)


@pytest.mark.parametrize("name", [*LINEAR, *OTHERS_FOR_NEWCOMERS, "mix"])
def test_newcomers_get_finite_scores_and_leave_the_model_as_it_was(name, fitted, world):
    before = np.array(fitted[name].score(EVERYBODY))
    histories = world.interest.values[:3]
    kept = histories.copy()
    scores = scoring_newcomers(fitted[name]).score_new(histories)
    assert scores.shape == (3, N_ITEMS)
    assert np.isfinite(scores).all()
    assert fitted[name].score_new(histories[:0]).shape == (0, N_ITEMS)
    np.testing.assert_array_equal(histories.toarray(), kept.toarray())
    np.testing.assert_array_equal(fitted[name].score(EVERYBODY), before)


def test_fallback_answers_for_newcomers_without_a_history(fitted, world):
    model = WithFallback(model=MODELS["ease"]()).fit(world)
    scores = model.score_new(world.interest.values)
    np.testing.assert_array_equal(scores, model.score(EVERYBODY))
    np.testing.assert_array_equal(scores[COLD_USER], Popularity().fit(world).popularity_)


@pytest.mark.parametrize("name", [name for name in MODELS if issubclass(MODELS[name], Explains)])
def test_reasons_add_up_to_the_score(name, fitted, world):
    model = fitted[name]
    user, item = np.indices((N_USERS, N_ITEMS)).reshape(2, -1)
    sums = model.explain(user, item).sum(axis=1).reshape(N_USERS, N_ITEMS)
    scores = model.score(EVERYBODY)
    if name == "content":  # a cosine is scaled by the length of the user's features
        lengths = np.linalg.norm((model.history_ @ model.features_).toarray(), axis=1)
        scores = scores * lengths[:, None]
    np.testing.assert_allclose(sums, scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["ease", "item_neighbours", "content"])
def test_reasons_for_a_newcomer_are_those_for_the_same_user(name, fitted, world):
    users = np.arange(COLD_USER)
    items = users % N_ITEMS
    as_users = fitted[name].explain(users, items).toarray()
    as_newcomers = fitted[name].explain_new(world.interest.values[users], items).toarray()
    np.testing.assert_allclose(as_newcomers, as_users, rtol=1e-6)


@pytest.mark.parametrize("name", ["ease", "item_neighbours", "content"])
def test_reasons_may_be_changed_without_changing_the_history(name, fitted, world):
    histories = world.interest.values[:N_ITEMS]
    kept = histories.toarray()
    reasons = fitted[name].explain_new(histories, np.arange(N_ITEMS))
    reasons.indices[:] = 0
    reasons.data[:] = 0
    np.testing.assert_array_equal(histories.toarray(), kept)


@pytest.mark.parametrize(
    "name", [name for name in MODELS if issubclass(MODELS[name], ScoresCandidates)]
)
def test_candidates_have_the_scores_that_they_have_among_all_items(name, fitted):
    is_candidate = np.random.default_rng(0).random((N_USERS, N_ITEMS)) < 0.3
    found = fitted[name].score_candidates(EVERYBODY, is_candidate)
    expected = fitted[name].score(EVERYBODY)
    np.testing.assert_array_equal(found[is_candidate], expected[is_candidate])
    nothing_asked = np.zeros((N_USERS, N_ITEMS), dtype=bool)
    assert fitted[name].score_candidates(EVERYBODY, nothing_asked).shape == expected.shape


def test_optional_methods_are_declared():
    explaining = {name for name, kind in MODELS.items() if issubclass(kind, Explains)}
    assert explaining == {"ease", "item_neighbours", "content", "markov"}
    for_newcomers = {name for name, kind in MODELS.items() if issubclass(kind, ScoresNewcomers)}
    assert for_newcomers == {*LINEAR, *OTHERS_FOR_NEWCOMERS, "blend"}
    assert for_newcomers == set(MODELS) - set(NOT_FOR_NEWCOMERS)
    of_candidates = {name for name, kind in MODELS.items() if issubclass(kind, ScoresCandidates)}
    assert of_candidates == {"content", "forest"}


def test_exemptions_name_models():
    assert set(NOT_PERSONAL) | set(DRAWS_BY_POSITION) <= set(MODELS)
