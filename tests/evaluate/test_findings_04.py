"""What the results of a comparison find, from results made by hand."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.evaluate.aims import frontier_findings, price_findings, undominated
from kpay_lab.evaluate.beyond import concentration_findings
from kpay_lab.evaluate.compare import new_item_findings, protocol_findings
from kpay_lab.evaluate.groups import against_others, group_findings, newcomer_findings
from kpay_lab.evaluate.split import make_split
from kpay_lab.evaluate.value import truth_findings
from kpay_lab.findings import sentence
from kpay_lab.interest.weighting import interest_matrix


def rng():
    return np.random.default_rng(0)


def values_of(metric="ndcg", k=10, **by_model):
    parts = []
    for model, scores in by_model.items():
        users = [f"u{number:04d}" for number in range(len(scores))]
        columns = {"model": model, "metric": metric, "k": k, "user_id": users, "value": scores}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def said(findings):
    return [sentence(finding) for finding in findings]


def two_halves(first, second, n=100):
    """Scores of n users around one mean and n around another, and a label of each half."""
    noise = rng().normal(0, 0.1, 2 * n)
    scores = np.repeat([first, second], n) + noise
    users = [f"u{number:04d}" for number in range(2 * n)]
    return values_of(als=scores), pd.Series(["first"] * n + ["second"] * n, users)


def test_a_group_with_worse_lists_is_named_with_all_others_beside_it():
    values, half = two_halves(0.2, 0.5)
    tested = against_others(values, half.to_frame("half"), model="als")
    ndcg = values["value"].to_numpy()
    row = tested.set_index("group").loc["first"]
    assert row["mean"] == pytest.approx(ndcg[:100].mean())
    assert row["others"] == pytest.approx(ndcg[100:].mean())
    (finding,) = group_findings(tested, model="als", k=10)
    assert finding.level == "watch"
    assert sentence(finding).startswith(
        "als serves this group worse than the others together: first (half, 100 people), NDCG@10"
    )


def test_groups_that_are_alike_are_not_said_to_differ():
    values, half = two_halves(0.4, 0.4)
    tested = against_others(values, half.to_frame("half"), model="als")
    assert said(group_findings(tested, model="als", k=10)) == [
        "None of 2 groups of people is shown to get worse lists from als than the others together."
    ]
    alone = against_others(values, pd.DataFrame({"all": "same"}, half.index), model="als")
    assert (
        "is not known: too few groups are large enough"
        in said(group_findings(alone, model="als", k=10))[0]
    )


@pytest.mark.parametrize(
    ("new", "known", "words"),
    [(0.6, 0.3, "are served better"), (0.3, 0.6, "are served worse"), (0.4, 0.4, "is not shown")],
)
def test_new_people_beside_known_ones(new, known, words):
    values, half = two_halves(new, known)
    found = newcomer_findings(values, half == "first", answer="als", model="als")
    assert words in said(found)[0]
    assert "for 100 new people" in said(found)[0]
    assert newcomer_findings(values, half == "nobody", answer="als", model="als") == []


def test_new_people_who_find_nothing_are_too_few_to_compare():
    values, half = two_halves(0.4, 0.4)
    values.loc[:94, "value"] = 0.0
    found = newcomer_findings(values, half == "first", answer="als", model="als")
    assert said(found)[0].endswith("too few to compare.")


def priced(change):
    """Revenue of als and of two reorderings, the second changed by so much a user."""
    noise = rng().normal(0, 1, 200)
    base = 10 + rng().random(200)
    earned = values_of("revenue", als=base, mild=base + noise / 100, strong=base + change + noise)
    ndcg = values_of(als=base / 20, mild=base / 20, strong=base / 20 - 0.125)
    return pd.concat([earned, ndcg], ignore_index=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [(3.0, "raises what the lists of als earn: "), (-3.0, "lowers what the lists of als earn: −")],
)
def test_expensive_items_first_raise_or_lower_revenue(change, words):
    weights = {"mild": 0.25, "strong": 2.0}
    (finding,) = price_findings(priced(change), "als", weights, k=10, currency="CNY", rng=rng())
    assert words in sentence(finding)
    assert "CNY a user at price weight 2 (" in sentence(finding)
    assert sentence(finding).endswith("changes NDCG@10 by −0.125.")
    assert finding.values["n_tests"] == 2
    assert finding.level == ("good" if change > 0 else "watch")


def test_a_change_in_revenue_that_is_not_shown_is_not_said():
    base = rng().random(50)
    values = pd.concat([values_of("revenue", als=base, mild=base[::-1]), values_of(als=base)])
    values = pd.concat([values, values_of(mild=base)])
    found = price_findings(values, "als", {"mild": 1.0}, k=10, currency="", rng=rng())
    assert "is not shown to change" in said(found)[0]
    assert price_findings(values, "als", {}, k=10, currency="", rng=rng()) == []


def test_the_lists_that_no_other_beats():
    points = pd.DataFrame(
        {"name": ["als", "ease", "both"], "ndcg": [0.3, 0.2, 0.1], "revenue": [5.0, 7.0, 6.0]}
    )
    best = undominated(points, "ndcg", "revenue")
    assert best["name"].tolist() == ["als", "ease"]
    assert said(frontier_findings(best, "revenue", n_lists=3, k=10)) == [
        "Of 3 kinds of lists 2 are beaten by no other in both mean NDCG@10 and mean revenue: "
        "als and ease."
    ]
    alone = said(frontier_findings(best.head(1), "diversity", n_lists=3, k=10))
    assert alone[0].startswith("Of 3 kinds of lists als has both the largest mean NDCG@10 and")


def test_the_truth_may_agree_on_the_best_and_not_on_the_rest():
    ndcg = pd.Series({"als": 0.4, "ease": 0.3, "popularity": 0.2, "content": 0.1})
    noise = rng().normal(0, 0.01, 50)
    regrets = {"als": 0.1 + noise, "ease": np.full(50, 0.3), "popularity": np.full(50, 0.4)}
    regrets["content"] = np.full(50, 0.2)
    (agree,) = truth_findings(ndcg, regrets)
    assert sentence(agree).endswith(
        "als leaves the least interest unused too. But content is number 4 of 4 by the log and "
        "number 2 in truth."
    )
    (wrong,) = truth_findings(ndcg, regrets | {"content": np.zeros(50)})
    assert wrong.level == "watch"
    assert "the log picks the wrong model: content leaves less interest" in sentence(wrong)
    near = regrets | {"als": 0.2 + noise - noise.mean() + 0.001}
    assert "leave about as much interest unused" in said(truth_findings(ndcg, near))[0]
    assert truth_findings(ndcg, {"als": noise}) == []


def test_the_winner_may_change_with_the_split():
    rows = [("time", "als", 0.3, 1), ("time", "ease", 0.2, 2), ("random", "als", 0.4, 2)]
    rows += [("random", "ease", 0.5, 1)]
    gap = pd.DataFrame(rows, columns=["split", "model", "value", "rank"])
    (other,) = protocol_findings(gap, k=10)
    assert "as the log is split: als (time) and ease (random)." in sentence(other)
    assert "from 0.3 to 0.5 NDCG@10 (means, no test)." in sentence(other)
    same = gap.assign(rank=[1, 2, 1, 2])
    assert (
        "als has the largest mean of 2 quick models under each of 2"
        in said(protocol_findings(same, k=10))[0]
    )
    assert protocol_findings(gap[gap["split"] == "time"], k=10) == []


@pytest.mark.parametrize(
    ("mean", "p", "words"),
    [
        (0.4, 0.001, "content finds who likes a new item: NDCG@10 0.4 ("),
        (0.1, 0.001, "less often than chance does"),
        (0.4, 0.2, "is not shown to find who likes a new item"),
    ],
)
def test_who_finds_new_items(mean, p, words):
    found = pd.DataFrame(
        {
            "metric": "ndcg",
            "model": ["random", "content"],
            "mean": [0.2, mean],
            "low": [0.1, mean - 0.05],
            "high": [0.3, mean + 0.05],
            "difference": [np.nan, mean - 0.2],
            "p": [np.nan, p],
            "is_smallest": [np.nan, False],
        }
    )
    said_of = said(new_item_findings(found, model="content", k=10, n_items=22))
    assert words in said_of[0] and "chance 0.2" in said_of[0]
    assert new_item_findings(found, model="forest", k=10, n_items=22) == []


def test_how_few_items_fill_half_of_the_places():
    counts = {"als": np.array([4, 3, 2, 1, 9]), "popularity": np.array([10, 0, 0, 0, 9])}
    is_candidate = np.array([True, True, True, True, False])
    of_lists = {"n_lists": 10, "model": "als", "other": "popularity"}
    assert said(concentration_findings(counts, is_candidate, **of_lists)) == [
        "The 10 lists of als show 100 % of 4 items, and half of their places go to the first 2; "
        "with popularity it is 25 % and 1."
    ]


def test_a_split_that_is_not_in_time_says_so(small_world):
    by_chance = make_split(small_world[0], interest_matrix, how="random_rows")
    keys = {finding.key for finding in by_chance.findings()}
    assert "split/future" in keys and by_chance.days is None
    in_time = make_split(small_world[0], interest_matrix, how="time")
    assert "split/future" not in {finding.key for finding in in_time.findings()}
    length = in_time.test_events["timestamp"].max() - in_time.cut
    assert in_time.days == pytest.approx(length.total_seconds() / 86_400)
    assert len(in_time.describe()) == len(in_time.describe(cautions=False)) + len(
        in_time.findings()
    )
