"""Candidates before a list, reranking after it, and the reasons for it."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.metrics.pairwise import cosine_similarity
from worlds import COLD_USER, N_USERS, random_world

from kpay_lab.data.tables import Tables
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend import ALS, EASE, MODELS, ContentBased, ItemNeighbours, rerank
from kpay_lab.recommend.base import TopK, Training, top_k
from kpay_lab.recommend.candidates import candidate_items
from kpay_lab.recommend.choose import choose_models
from kpay_lab.recommend.lists import _name_strongest, explain_lists, recommend_for_all
from kpay_lab.recommend.popularity import Popularity
from kpay_lab.recommend.rerank import diversify, order_by_revenue

IDS = pd.Index(list("abcd"), name="item_id")


@pytest.fixture(scope="module")
def world():
    return random_world()


def shop(**columns) -> Tables:
    events = pd.DataFrame({"user_id": "u", "item_id": list("aab"), "rating": [1.0, 2.0, 5.0]})
    items = pd.DataFrame({"item_id": list("dcba"), **columns})
    return Tables.validated(events=events, items=items)


def test_by_default_what_can_be_sold_is_recommended():
    tables = shop(kind=["live", "course", "course", "book"], price=[np.nan, np.nan, 9.0, 5.0])
    assert candidate_items(tables, IDS).tolist() == [True, True, True, False]
    assert candidate_items(tables, IDS, kinds=["live"]).tolist() == [False, False, False, True]


def test_without_prices_or_kinds_all_are_candidates():
    unpriced = shop(kind=["live", "course", "course", "book"], price=[np.nan] * 4)
    assert candidate_items(unpriced, IDS).all()
    assert candidate_items(shop(), IDS).all()
    assert candidate_items(Tables(shop().events), IDS).all()


def test_unreviewed_and_badly_rated_items_are_left_out():
    tables = shop(reviewed=pd.array([True, None, False, True], dtype="boolean"))
    reviewed = candidate_items(tables, IDS, reviewed_only=True)
    assert reviewed.tolist() == [True, False, False, True]
    known = shop(author_verified=pd.array([True, False, None, True], dtype="boolean"))
    verified = candidate_items(known, IDS, verified_only=True)
    assert verified.tolist() == [True, False, False, True]
    assert candidate_items(tables, IDS, min_rating=3).tolist() == [False, True, True, True]


def test_a_filter_without_its_column_is_an_error():
    with pytest.raises(ValueError, match=r"needs items\.reviewed"):
        candidate_items(shop(), IDS, reviewed_only=True)
    with pytest.raises(ValueError, match=r"needs items\.kind"):
        candidate_items(shop(), IDS, kinds=["course"])


def literal_mmr(items, scores, similar, trade_off, k):
    worth = (scores - scores.min()) / (scores.max() - scores.min())
    taken = []
    while len(taken) < k:
        left = [place for place in range(len(items)) if place not in taken]
        gains = [
            trade_off * worth[p]
            - (1 - trade_off) * max((similar[items[p], items[t]] for t in taken), default=0)
            for p in left
        ]
        taken.append(left[int(np.argmax(gains))])
    return items[taken]


@pytest.mark.parametrize("trade_off", [0.0, 0.4, 0.7, 1.0])
def test_diversified_equals_a_literal_loop(trade_off, world):
    pool = top_k(ItemNeighbours().fit(world), np.arange(COLD_USER), 10)
    features = ContentBased().fit(world).features_
    similar = cosine_similarity(features)
    chosen = diversify(pool, 4, features=features, trade_off=trade_off)
    expected = [
        literal_mmr(items, scores, similar, trade_off, 4)
        for items, scores in zip(pool.items, pool.scores, strict=True)
    ]
    np.testing.assert_array_equal(chosen.items, expected)
    if trade_off == 1:
        np.testing.assert_array_equal(chosen.items, pool.items[:, :4])
        np.testing.assert_array_equal(chosen.scores, pool.scores[:, :4])


def test_lists_of_many_items_are_diversified_as_those_of_few(world, monkeypatch):
    pool = top_k(ItemNeighbours().fit(world), np.arange(COLD_USER), 10)
    features = ContentBased().fit(world).features_
    at_once = diversify(pool, 4, features=features)
    monkeypatch.setattr(rerank, "MOST_COMPARED", 1)
    pair_by_pair = diversify(pool, 4, features=features)
    np.testing.assert_array_equal(at_once.items, pair_by_pair.items)


def test_expected_revenue_is_price_times_chance():
    pool = TopK(np.array([0]), np.array([[0, 1, 2]]), np.array([[0.5, 0.3, 0.2]]))
    price = np.array([10.0, 100.0, np.nan, 1.0])
    top = order_by_revenue(pool, 3, price=price)
    assert top.items.tolist() == [[1, 0, 2]]
    np.testing.assert_allclose(top.scores, [[0.3 * 100, 0.5 * 10, 0]])
    same = order_by_revenue(pool, 3, price=price[[0, 1, 3]], price_weight=0)
    np.testing.assert_array_equal(same.items, pool.items)


@pytest.mark.parametrize("kind", ["diversified", "revenue"])
def test_reranking_keeps_padding_last(kind):
    scores = np.array([[0.9, 0.2, -np.inf], [-np.inf] * 3])
    pool = TopK(np.array([0, 1]), np.array([[2, 0, -1], [-1, -1, -1]]), scores)
    if kind == "diversified":
        top = diversify(pool, 3, features=csr_array(np.eye(3)), trade_off=0.0)
    else:
        top = order_by_revenue(pool, 3, price=np.array([50.0, 1.0, 1.0]))
    assert set(top.items[0, :2]) == {0, 2}
    assert top.items[0, 2] == -1
    assert (top.items[1] == -1).all()


def test_why_names_the_largest_contributions(world):
    model = EASE(reg=3.0, dtype="float64").fit(world)
    top = top_k(model, np.arange(N_USERS), 3, exclude=world.interest.values)
    why = explain_lists(top, model, world, n=1)
    titles = world.tables.items["title"].to_numpy()
    for user in range(COLD_USER):
        seen = world.interest.values[[user]].toarray()[0]
        for item, reason in zip(top.items[user], why[user], strict=True):
            assert reason == titles[np.argmax(seen * model.item_weights_[:, item])]
    assert (why[COLD_USER] == "").all()


def test_why_of_content_names_shared_features(world):
    model = ContentBased().fit(world)
    top = top_k(model, np.arange(COLD_USER), 3, exclude=world.interest.values)
    category = world.tables.items["category"].to_numpy()
    group = world.tables.items["brand"].str[1:].to_numpy()
    for items, reasons in zip(top.items, explain_lists(top, model, world), strict=True):
        for item, reason in zip(items, reasons, strict=True):
            assert reason.split("; ")[0] == f"category: {category[item]}"
            assert reason.split("; ")[1] == f"brand: b{group[item]}"


def test_a_weight_out_of_its_range_is_refused():
    pool = TopK(np.array([0]), np.array([[0, 1]]), np.array([[0.5, 0.3]]))
    with pytest.raises(ValueError, match=r"trade_off is 1\.5; it must be from 0 .* to 1"):
        diversify(pool, 1, features=csr_array(np.eye(2)), trade_off=1.5)
    with pytest.raises(ValueError, match="price_weight is -1; it must be 0 or more"):
        order_by_revenue(pool, 1, price=np.ones(2), price_weight=-1)


@pytest.mark.parametrize("name", MODELS)
def test_every_list_of_every_model_can_be_explained(name, world):
    model = MODELS[name]().fit(world)
    top = top_k(model, np.arange(N_USERS), 20, exclude=world.interest.values)
    why = explain_lists(top, model, world)
    assert why.shape == top.items.shape
    assert (why[top.items < 0] == "").all()
    assert (why[:COLD_USER, 0] != "").mean() > 0.9


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ([0.0, 2.0, 5.0, 2.0], "c; b"),  # of equal weights the earlier item
        ([3.0, 3.0, 3.0, 3.0], "a; b"),
        ([-1.0, 0.0, 0.5, -2.0], "c"),  # what speaks against the item is no reason
        ([-1.0, 0.0, 0.0, 0.0], ""),
        ([0.0, 0.0, 0.0, 0.0], ""),
    ],
)
def test_the_strongest_reasons_are_named(weights, named):
    others = [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    reasons = csr_array([weights, *others, weights])
    names = np.array(["a", "b", "c", "d"])
    assert list(_name_strongest(reasons, names, 2)) == [named, "d", "", named]


def test_without_reasons_nothing_is_named():
    assert list(_name_strongest(csr_array((2, 3)), np.array(["a", "b", "c"]), 2)) == ["", ""]


def test_why_falls_back_to_similar_users_and_to_ids():
    pairs = ["u", "u", "v", "v", "w"], ["a", "b", "a", "b", "a"]
    train = Training.from_matrix(InterestMatrix.from_pairs(*pairs, np.ones(5)))
    model = ALS(n_factors=2).fit(train)
    top = top_k(model, np.array([2]), 1, exclude=train.interest.values)
    assert explain_lists(top, model, train).tolist() == [["a"]]


def test_where_everybody_met_everything_nothing_is_listed():
    pairs = pd.MultiIndex.from_product([["u", "v"], ["a", "b"]], names=["user_id", "item_id"])
    tables = Tables(pairs.to_frame(index=False))
    lists = recommend_for_all(tables, Popularity(), 3, interest_of=interest_matrix)
    assert lists.empty and list(lists) == ["user_id", "rank", "item_id", "title", "score", "why"]
    train = Training(interest_matrix(tables), tables)
    _, left_out = choose_models({"forest": {}}, train)
    assert "every user met every item" in left_out["forest"]
