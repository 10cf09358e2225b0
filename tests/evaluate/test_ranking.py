import numpy as np
import pandas as pd
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from sklearn.metrics import ndcg_score

from kpay_lab.evaluate.ranking import METRICS, find_hits, from_ids, metric_audit, ndcg, per_user

K = 10


@pytest.fixture(scope="module")
def random_lists():
    """300 users, 60 items, 1 to 25 relevant each, lists of 10 without repeats, scores falling."""
    rng = np.random.default_rng(0)
    order = np.array([rng.permutation(60) for _ in range(300)])
    relevant = np.zeros((300, 60))
    for row in relevant:
        row[rng.choice(60, rng.integers(1, 26), replace=False)] = 1
    return order, csr_array(relevant)


def values_of(items, relevant, k=K):
    table = per_user(items, relevant, [k])
    return table.pivot(index="user", columns="metric", values="value")


def trec(order, relevant, measures):
    qrels = {
        str(user): {str(item): 1 for item in relevant[[user]].indices} for user in range(len(order))
    }
    run = {
        str(user): {str(item): float(-rank) for rank, item in enumerate(row)}
        for user, row in enumerate(order)
    }
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    return [found[str(user)] for user in range(len(order))]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("precision", "P_10"),
        ("recall", "recall_10"),
        ("ndcg", "ndcg_cut_10"),
        ("hit", "success_10"),
    ],
)
def test_metrics_agree_with_trec_eval(random_lists, ours, theirs):
    order, relevant = random_lists
    found = trec(order, relevant, {theirs.replace("_10", ".10")})
    expected = [row[theirs] for row in found]
    np.testing.assert_allclose(values_of(order[:, :K], relevant)[ours], expected, atol=1e-12)


def test_map_agrees_with_trec_eval_up_to_its_denominator(random_lists):
    order, relevant = random_lists
    n = np.diff(relevant.indptr)
    trec_map = np.array([row["map_cut_10"] for row in trec(order, relevant, {"map_cut.10"})])
    ours = values_of(order[:, :K], relevant)["map"]
    np.testing.assert_allclose(ours, trec_map * n / np.minimum(n, K), atol=1e-12)
    audit = metric_audit(order[:, :K], relevant, K).set_index("definition")["value"]
    assert audit["AP / n_relevant (map_trec)"] == pytest.approx(trec_map.mean(), abs=1e-12)


def test_mrr_agrees_with_trec_eval_within_the_list(random_lists):
    order, relevant = random_lists
    ranks = np.array([row["recip_rank"] for row in trec(order, relevant, {"recip_rank"})])
    expected = np.where(ranks >= 1 / K, ranks, 0)
    np.testing.assert_allclose(values_of(order[:, :K], relevant)["mrr"], expected, atol=1e-12)


def test_ndcg_agrees_with_scikit_learn(random_lists):
    order, relevant = random_lists
    scores = np.empty(order.shape)
    np.put_along_axis(scores, order, -np.arange(60.0)[None, :], axis=1)
    expected = [
        ndcg_score(truth[None], score[None], k=K)
        for truth, score in zip(relevant.toarray(), scores, strict=True)
    ]
    np.testing.assert_allclose(values_of(order[:, :K], relevant)["ndcg"], expected, atol=1e-12)


def test_all_metrics_equal_a_literal_loop(random_lists):
    order, relevant = random_lists
    found = values_of(order[:, :5], relevant, 5)
    for user, row in enumerate(order[:, :5]):
        wanted = set(relevant[[user]].indices)
        h = [item in wanted for item in row]
        at = [sum(h[:r]) / r for r in range(1, 6)]
        ap = sum(p for p, is_hit in zip(at, h, strict=True) if is_hit)
        expected = {
            "hit": float(any(h)),
            "map": ap / min(len(wanted), 5),
            "mrr": 1 / (h.index(True) + 1) if any(h) else 0.0,
            "precision": sum(h) / 5,
            "recall": sum(h) / len(wanted),
            "recall_capped": sum(h) / min(len(wanted), 5),
        }
        for metric, value in expected.items():
            assert found.loc[user, metric] == pytest.approx(value, abs=1e-14)


lists = arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 6)))


@given(lists, st.integers(0, 5))
def test_metrics_stay_between_0_and_1(hits, missed):
    n_relevant = np.maximum(hits.sum(axis=1) + missed, 1)
    for name, metric in METRICS.items():
        values = metric(hits, n_relevant)
        assert values.shape == (len(hits),)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name


@given(lists, st.integers(0, 5))
def test_recall_and_hit_grow_with_k(hits, missed):
    n_relevant = np.maximum(hits.sum(axis=1) + missed, 1)
    for name in ("recall", "hit", "mrr"):
        by_k = [METRICS[name](hits[:, : k + 1], n_relevant) for k in range(hits.shape[1])]
        assert (np.diff(by_k, axis=0) >= 0).all(), name


@given(st.integers(1, 8), st.integers(1, 12))
def test_a_perfect_list_scores_1(k, n_relevant):
    hits = (np.arange(k) < n_relevant)[None]
    for name in ("recall_capped", "hit", "map", "mrr", "ndcg"):
        assert METRICS[name](hits, np.array([n_relevant]))[0] == pytest.approx(1, abs=1e-12), name


@given(lists)
def test_moving_a_hit_up_never_lowers_ndcg(hits):
    n_relevant = np.maximum(hits.sum(axis=1), 1)
    front = -np.sort(-hits.astype(int), axis=1) > 0
    assert (ndcg(front, n_relevant) >= ndcg(hits, n_relevant) - 1e-12).all()


def test_a_short_list_holds_no_hit_where_it_ends_and_is_divided_by_k():
    relevant = csr_array([[0, 0, 1], [1, 0, 1]])  # -1 must not read as a last item
    found = values_of(np.array([[0, -1, -1], [0, -1, -1]]), relevant, 3)
    assert found.loc[0, "hit"] == 0
    assert found.loc[1, "precision"] == pytest.approx(1 / 3)
    assert found.loc[1, "recall"] == pytest.approx(1 / 2)


def test_users_with_nothing_to_find_have_no_value():
    relevant = csr_array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    found = per_user(np.array([[0], [1], [2]]), relevant, [1])
    assert set(found["user"]) == {1}
    assert (found["value"] == 1).all()


def test_errors_name_the_remedy():
    relevant = csr_array([[1, 0]])
    with pytest.raises(ValueError, match="rank longer lists"):
        per_user(np.array([[0]]), relevant, [2])
    with pytest.raises(ValueError, match="equal rows"):
        find_hits(np.array([[0], [1]]), relevant)


def test_audit_by_hand():
    """Hits at ranks 1 and 3 of 4, three relevant."""
    audit = metric_audit(np.array([[0, 9, 1, 8]]), csr_array([[1, 1, 1] + [0] * 7]), 4)
    value = audit.set_index("definition")["value"]
    ap = 1 + 2 / 3
    assert value["AP / min(n_relevant, k)"] == pytest.approx(ap / 3)
    assert value["AP / k"] == pytest.approx(ap / 4)
    assert value["AP / hits"] == pytest.approx(ap / 2)
    assert value["mean of precision at 1..k"] == pytest.approx((1 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
    dcg = 1 + 1 / 2
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert value["ideal of min(n_relevant, k) hits"] == pytest.approx(dcg / ideal)
    assert value["ideal always of k hits"] == pytest.approx(dcg / (ideal + 1 / np.log2(5)))
    lenskit = (1 + 1 / np.log2(3)) / (1 + 1 + 1 / np.log2(3))
    assert value["discount max(log2 rank, 1)"] == pytest.approx(lenskit)


def test_audit_of_a_single_hit_and_of_none():
    """Hit at rank 2: AP = 1/2, over one hit; the user without a hit adds 0 to the mean."""
    audit = metric_audit(np.array([[9, 0], [9, 8]]), csr_array([[1] + [0] * 9] * 2), 2)
    value = audit.set_index("definition")["value"]
    assert value["AP / hits"] == pytest.approx((1 / 2 + 0) / 2)


def test_tables_of_ids_score_as_their_positions():
    lists = pd.DataFrame({"user_id": list("uuww"), "item_id": list("abca"), "rank": [2, 1, 1, 2]})
    wanted = pd.DataFrame({"user_id": list("uvw"), "item_id": list("aaz")})
    found = per_user(*from_ids(lists, wanted), [2])
    first = found[found["metric"] == "mrr"]["value"].tolist()
    assert first == [1 / 2, 0, 0]  # u: b a; v: no list; w: z is on no list
