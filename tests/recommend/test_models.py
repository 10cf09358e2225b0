"""Each model against a literal loop, a second library or the closed form."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.metrics.pairwise import cosine_similarity
from worlds import COLD_ITEM, COLD_USER, N_ITEMS, N_USERS, checkerboard, random_world

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend import MODELS
from kpay_lab.recommend.base import Learned, Training, rank, top_k
from kpay_lab.recommend.content import ContentBased, recommend_by_cosine
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.forest import RandomForest
from kpay_lab.recommend.markov import Markov
from kpay_lab.recommend.mix import Blend
from kpay_lab.recommend.neighbours import ItemNeighbours, UserNeighbours
from kpay_lab.recommend.popularity import Baseline, Popularity, WithFallback

EVERYBODY = np.arange(N_USERS)


@pytest.fixture(scope="module")
def world():
    return random_world()


@pytest.fixture(scope="module")
def dense(world):
    return world.interest.values.toarray()


def without_times(train: Training) -> Training:
    events = train.tables.events.drop(columns="timestamp")
    return dataclasses.replace(train, tables=train.tables.with_events(events))


def test_popularity_counts_users(world, dense):
    np.testing.assert_array_equal(Popularity().fit(world).popularity_, (dense > 0).sum(axis=0))


def test_popularity_halves_with_its_half_life():
    days = pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-05"], utc=True).as_unit("us")
    events = pd.DataFrame({"user_id": ["u"] * 3, "item_id": ["a", "b", "a"], "timestamp": days})
    matrix = InterestMatrix.from_pairs(events["user_id"], events["item_id"], [1.0, 1.0, 1.0])
    model = Popularity(half_life=2.0).fit(Training(matrix, Tables.validated(events=events)))
    np.testing.assert_allclose(model.popularity_, [1 + 1 / 4, 1 / 2], rtol=1e-15)


def test_baseline_equals_a_literal_loop(world, dense):
    reg, mean = 10.0, dense[dense > 0].mean()
    item_bias, user_bias = np.zeros(N_ITEMS), np.zeros(N_USERS)
    for i in range(N_ITEMS):
        who = np.flatnonzero(dense[:, i])
        item_bias[i] = sum(dense[u, i] - mean for u in who) / (len(who) + reg)
    for u in range(N_USERS):
        what = np.flatnonzero(dense[u])
        user_bias[u] = sum(dense[u, i] - mean - item_bias[i] for i in what) / (len(what) + reg)
    expected = mean + user_bias[:, None] + item_bias
    np.testing.assert_allclose(Baseline().fit(world).score(EVERYBODY), expected, rtol=1e-12)


def test_a_constant_a_user_reorders_nothing(world, dense):
    order = np.argsort(-dense, axis=1, kind="stable")
    plus_mean = dense + dense.mean(axis=1, keepdims=True)
    np.testing.assert_array_equal(np.argsort(-plus_mean, axis=1, kind="stable"), order)


def test_item_neighbours_equal_scikit_learn(world, dense):
    similar = cosine_similarity(dense.T)
    scores = ItemNeighbours(n_neighbors=None).fit(world).score(EVERYBODY)
    np.testing.assert_allclose(scores, dense @ similar, rtol=1e-12, atol=1e-14)


def test_item_neighbours_keep_the_nearest_of_each_item(world, dense):
    similar = cosine_similarity(dense.T)
    np.fill_diagonal(similar, 0)
    expected = np.zeros((N_USERS, N_ITEMS))
    for i in range(N_ITEMS):
        near = np.argsort(-similar[i], kind="stable")[:4]
        expected[:, i] = sum(dense[:, j] * similar[i, j] for j in near)
    scores = ItemNeighbours(n_neighbors=4).fit(world).score(EVERYBODY)
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-14)


def test_of_equal_neighbours_the_one_more_users_met_is_kept():
    """Items b and c both have cosine 1/2 to a; c rests on more users."""
    met = np.zeros((10, 3))
    met[[0, 1], 0] = 1  # a: 2 users
    met[[0, 2], 1] = 1  # b: 2 users, one shared with a: 1 / sqrt(2 * 2)
    met[[0, 1, 3, 4, 5, 6, 7, 8], 2] = 1  # c: 8 users, two shared with a: 2 / sqrt(2 * 8)
    matrix = InterestMatrix(csr_array(met), pd.RangeIndex(10), pd.RangeIndex(3))
    model = ItemNeighbours(n_neighbors=1).fit(Training.from_matrix(matrix))
    kept = model.item_weights_.toarray()[:, 0]
    assert kept.tolist() == pytest.approx([0, 0, 0.5])


def test_jaccard_of_items_equals_sets(world, dense):
    """Microsoft's SAR: Jaccard of co-occurrence, diagonal kept, score = affinity · similarity."""
    users_of = [set(np.flatnonzero(dense[:, i])) for i in range(N_ITEMS)]
    similar = np.array([[len(a & b) / max(len(a | b), 1) for b in users_of] for a in users_of])
    model = ItemNeighbours(n_neighbors=None, similarity="jaccard").fit(world)
    np.testing.assert_allclose(model.score(EVERYBODY), dense @ similar, rtol=1e-12, atol=1e-14)
    assert (np.diag(model.item_weights_)[:COLD_ITEM] == 1).all()


def test_user_neighbours_equal_a_literal_loop(world, dense):
    similar = cosine_similarity(dense)
    np.fill_diagonal(similar, 0)
    expected = np.zeros((N_USERS, N_ITEMS))
    for u in range(N_USERS):
        for v in np.argsort(-similar[u], kind="stable")[:6]:
            expected[u] += similar[u, v] * dense[v]
    scores = UserNeighbours(n_neighbors=6).fit(world).score(EVERYBODY)
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-14)


def test_unknown_similarity_is_refused(world):
    with pytest.raises(ValueError, match="'pearson'; it must be one of cosine, jaccard"):
        ItemNeighbours(similarity="pearson").fit(world)


def test_ease_equals_the_closed_form(world, dense):
    inverse = np.linalg.inv(dense.T @ dense + 3.0 * np.eye(N_ITEMS))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    exact = EASE(reg=3.0, dtype="float64").fit(world)
    np.testing.assert_allclose(exact.item_weights_, weights, rtol=1e-9, atol=1e-12)
    single = EASE(reg=3.0).fit(world).score(EVERYBODY)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, dense @ weights, atol=1e-5)


def test_ease_weights_solve_each_items_ridge_regression(world, dense):
    target, others = 7, np.arange(N_ITEMS) != 7
    left = dense[:, others]
    ridge = np.linalg.solve(left.T @ left + 3.0 * np.eye(N_ITEMS - 1), left.T @ dense[:, target])
    weights = EASE(reg=3.0, dtype="float64").fit(world).item_weights_
    np.testing.assert_allclose(weights[others, target], ridge, rtol=1e-9, atol=1e-12)


def test_ease_says_when_the_matrix_is_singular(world):
    with pytest.raises(ValueError, match=r"reg=0\.0 .* raise reg"):
        EASE(reg=0.0).fit(world)


def test_als_lists_equal_those_of_implicit(world):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    model = MODELS["als"](n_factors=8, seed=3).fit(world)
    top = top_k(model, EVERYBODY[:COLD_USER], 5, exclude=world.interest.values)
    theirs = AlternatingLeastSquares(factors=8, num_threads=1)
    theirs.user_factors, theirs.item_factors = model.user_factors_, model.item_factors_
    seen = csr_matrix(world.interest.values[:COLD_USER])
    items, scores = theirs.recommend(
        np.arange(COLD_USER), seen, N=5, filter_items=np.array([COLD_ITEM])
    )
    np.testing.assert_array_equal(top.items, items)
    np.testing.assert_allclose(top.scores, scores, rtol=1e-5, atol=1e-6)


def test_als_learns_the_factors_of_implicit(world):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    ours = MODELS["als"](n_factors=5, reg=2.0, alpha=3.0, seed=7).fit(world)
    theirs = AlternatingLeastSquares(
        factors=5, regularization=2.0, alpha=3.0, iterations=15, num_threads=1, random_state=7
    )
    theirs.fit(csr_matrix(world.interest.values, dtype=np.float32), show_progress=False)
    assert ours.user_factors_.shape == theirs.user_factors.shape
    np.testing.assert_allclose(ours.user_factors_, theirs.user_factors, atol=1e-4)
    np.testing.assert_allclose(ours.item_factors_, theirs.item_factors, atol=1e-4)
    assert not ours.model_.user_factors[:, 5:].any()
    assert not ours.model_.item_factors[:, 5:].any()


def test_als_factors_solve_each_users_weighted_ridge_regression(world, dense):
    """The last half step fits the items to the users, so each item solves its equations."""
    model = MODELS["als"](n_factors=4, reg=0.1, alpha=5.0, n_iterations=200).fit(world)
    X = model.user_factors_.astype(float)
    item = 3
    confidence = np.where(dense[:, item] > 0, 5.0 * dense[:, item], 1.0)
    left = X.T @ (confidence[:, None] * X) + 0.1 * np.eye(4)
    expected = np.linalg.solve(left, X.T @ (confidence * (dense[:, item] > 0)))
    np.testing.assert_allclose(model.item_factors_[item], expected, atol=2e-3)


def test_markov_follows_the_sequence():
    """a b c, then a b d for another user: after b, c and d are equally likely."""
    times = pd.date_range("2024-01-01", periods=7, freq="min", tz="UTC").as_unit("us")
    events = pd.DataFrame({"user_id": list("uuuvvvw"), "item_id": list("abcabdb")})
    events = events.assign(timestamp=times).sample(frac=1, random_state=0)
    users, items = pd.Index(list("uvw"), name="user_id"), pd.Index(list("abcd"), name="item_id")
    matrix = InterestMatrix.from_pairs(
        events["user_id"], events["item_id"], np.ones(7), users=users, items=items
    )
    train = Training(matrix, Tables.validated(events=events))
    scores = Markov(smoothing=0.0, decay=0.5, n_last=2).fit(train).score(np.arange(3))
    after_a, after_b = np.array([0, 1, 0, 0]), np.array([0, 0, 1 / 2, 1 / 2])
    np.testing.assert_allclose(scores, [after_b / 2, after_b / 2, after_b], rtol=1e-15)
    longer = Markov(smoothing=1.0, decay=0.5, n_last=3).fit(train).score(np.array([0]))[0]
    np.testing.assert_allclose(longer, after_b * 2 / 3 / 2 + after_a * 2 / 3 / 4, rtol=1e-15)


@pytest.mark.parametrize("bare", [True, False])
def test_markov_says_that_it_needs_times(bare, world):
    train = Training.from_matrix(world.interest) if bare else without_times(world)
    with pytest.raises(ValueError, match=r"Markov needs events\.timestamp"):
        Markov().fit(train)


def test_content_is_the_cosine_of_profiles(world, dense):
    model = ContentBased().fit(world)
    features = model.features_.toarray()
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), np.ones(N_ITEMS), rtol=1e-12)
    expected = cosine_similarity(dense @ features, features)
    np.testing.assert_allclose(model.score(EVERYBODY), expected, rtol=1e-9, atol=1e-12)


def test_content_reads_chinese_without_word_boundaries():
    titles = ["机器学习入门", "深度机器学习", "中国书法史"]
    items = pd.DataFrame({"item_id": list("abc"), "title": titles})
    matrix = InterestMatrix.from_pairs(["u"], ["a"], [1.0], items=pd.Index(list("abc")))
    events = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
    model = ContentBased().fit(Training(matrix, Tables.validated(events=events, items=items)))
    _, close, far = model.score(np.array([0]))[0]
    assert close > far == 0


def test_content_needs_a_description(world):
    with pytest.raises(ValueError, match="ContentBased needs"):
        ContentBased().fit(Training.from_matrix(world.interest))
    bare = dataclasses.replace(world.tables, items=world.tables.items[["item_id", "kind"]])
    with pytest.raises(ValueError, match="ContentBased needs"):
        ContentBased().fit(dataclasses.replace(world, tables=bare))


def test_recommend_by_cosine_equals_scikit_learn():
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(6, 4)), rng.normal(size=(9, 4))
    top = recommend_by_cosine(users, items, 3)
    expected = np.argsort(-cosine_similarity(users, items), axis=1)[:, :3]
    np.testing.assert_array_equal(top.items, expected)


def test_blend_is_the_weighted_sum_of_scaled_parts(world, dense):
    models = ContentBased().fit(world), EASE().fit(world), Markov().fit(world)
    expected = np.zeros((N_USERS, N_ITEMS))
    for weight, model in zip((0.2, 0.5, 0.3), models, strict=True):
        scores = model.score(EVERYBODY)
        for user in range(COLD_USER):
            unmet = scores[user][dense[user] == 0]
            expected[user] += weight * (scores[user] - unmet.min()) / (unmet.max() - unmet.min())
    actual = Blend(weights=(0.2, 0.5, 0.3)).fit(world).score(EVERYBODY)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_blend_differs_from_content(world):
    lists = [
        top_k(model.fit(world), EVERYBODY, 5, exclude=world.interest.values).items
        for model in (Blend(), ContentBased(), EASE())
    ]
    assert (lists[0] != lists[1]).mean() > 0.2
    assert (lists[0] != lists[2]).mean() > 0.2


def test_blend_shares_the_weight_of_a_part_without_data(world):
    timeless = Blend(weights=(0.5, 0.3, 0.2)).fit(without_times(world))
    two_parts = Blend(weights=(0.625, 0.375, 0.0)).fit(world)
    np.testing.assert_allclose(timeless.score(EVERYBODY), two_parts.score(EVERYBODY), rtol=1e-12)
    bare = Training.from_matrix(world.interest)
    lists = [
        top_k(model.fit(bare), EVERYBODY[:COLD_USER], 5, exclude=bare.interest.values).items
        for model in (Blend(), EASE())
    ]
    np.testing.assert_array_equal(*lists)


def test_forest_learns_the_category_a_user_likes():
    board = checkerboard()
    model = RandomForest().fit(board)
    users, items = np.indices((20, 20)).reshape(2, -1)
    withheld, never = users == items, (users + items) % 2 == 1
    chance = model.score(np.arange(20)).ravel()
    assert chance[withheld].min() > 0.5 > chance[never].max()


def test_forest_shares_leave_the_pair_itself_out(world, dense):
    model = RandomForest(n_trees=1).fit(world)
    category = pd.factorize(world.tables.items["category"])[0]
    user, item = (int(where[0]) for where in np.nonzero(dense))
    others = np.arange(N_ITEMS) != item
    alike = others & (category == category[item])
    expected = dense[user, alike].sum() / dense[user, others].sum()
    share = model._features(np.array([user]), np.array([item]), dense[user, item])[0, 0]
    assert share == pytest.approx(expected, rel=1e-6)


def test_forest_needs_pairs_that_did_not_happen():
    full = InterestMatrix.from_pairs(["u", "u"], ["a", "b"], [1.0, 1.0])
    with pytest.raises(ValueError, match="no pair that did not happen"):
        RandomForest().fit(Training.from_matrix(full))


def test_forest_draws_no_pair_that_happened_however_many_users_there_are():
    """User 214,748 met all of 10,000 items: the number of a pair passes 2^31 among them."""
    starts = np.r_[np.zeros(214_749, np.int32), np.int32(10_000)]
    model = RandomForest()
    model.values_ = csr_array((np.ones(10_000), np.arange(10_000, dtype=np.int32), starts))
    with pytest.raises(ValueError, match="no pair that did not happen"):
        model._sample(np.random.default_rng(0))


def test_a_pair_without_interest_has_happened_too():
    model = RandomForest()
    model.values_ = csr_array((np.array([0.0, 1.0]), (np.array([0, 1]), np.array([2, 0]))))
    happened = model._has_happened(np.array([0, 0, 1, 1]), np.array([2, 0, 0, 2]))
    assert happened.tolist() == [True, False, True, False]


def test_forest_scores_each_pair_as_scikit_learn_does(world):
    model = RandomForest(n_trees=5).fit(world)
    is_candidate = np.random.default_rng(0).random((N_USERS, N_ITEMS)) < 0.5
    scores = model.score_candidates(np.arange(N_USERS), is_candidate)
    assert np.isneginf(scores[~is_candidate]).all()
    for user, item in np.argwhere(is_candidate):
        features = model._features(np.array([user]), np.array([item]), 0.0)
        expected = model.forest_.predict_proba(features)[0, 1]
        assert scores[user, item] == pytest.approx(expected, rel=1e-12)


def test_forest_works_from_a_bare_matrix(world):
    model = RandomForest().fit(Training.from_matrix(world.interest))
    assert model.score(EVERYBODY).std() > 0


class CountsPairs(RandomForest):
    """A forest that counts the pairs that it describes."""

    def _features(self, users, items, pair_interest):
        self.n_described = getattr(self, "n_described", 0) + len(users)
        return super()._features(users, items, pair_interest)


@pytest.mark.parametrize("of_each_user", [False, True])
def test_forest_scores_candidates_alone_and_ranks_as_if_it_had_scored_all(world, of_each_user):
    few = np.arange(N_ITEMS) % 3 == 0
    users = np.arange(N_USERS)
    seen = world.interest.values
    candidates = few
    if of_each_user:
        mask = np.random.default_rng(0).random((N_USERS, N_ITEMS)) < 0.3
        candidates = csr_array(mask.astype(float))
    model = CountsPairs(n_trees=5).fit(world)
    model.n_described = 0
    lists = top_k(model, users, 4, exclude=seen, candidates=candidates, ties="mean")
    is_candidate = mask if of_each_user else np.broadcast_to(few, (N_USERS, N_ITEMS))
    is_open = is_candidate & (seen.toarray() == 0)
    assert model.n_described == is_open.sum()
    all_scores = model.score(users)
    expected = rank(all_scores, 4, exclude=seen, candidates=candidates, ties="mean")
    np.testing.assert_array_equal(lists.items, expected.items)
    np.testing.assert_array_equal(lists.scores, expected.scores)
    np.testing.assert_array_equal(lists.ties.first_place, expected.ties.first_place)
    with_fallback = WithFallback(model=CountsPairs(n_trees=5)).fit(world)
    with_fallback.model.n_described = 0
    top_k(with_fallback, users, 4, exclude=seen, candidates=candidates)
    assert with_fallback.model.n_described == is_open.sum()


def test_what_has_learned_a_part_does_not_learn_again_and_refuses_another(world):
    model = CountsPairs(n_trees=5).fit(world)
    n_described = model.n_described
    learned = Learned(model, world)
    assert learned.fit(world) is learned
    assert model.n_described == n_described
    users = np.arange(3)
    np.testing.assert_array_equal(learned.score(users), model.score(users))
    with pytest.raises(ValueError, match="has learned another training part"):
        learned.fit(random_world())
