from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from kpay_lab.evaluate.compare import (
    compare,
    decide,
    protocol_gap,
    summarise,
    verdict,
    wide_by_model,
)
from kpay_lab.evaluate.groups import (
    activity_groups,
    breakdown,
    recall_by_item_popularity,
    shown_rows,
    user_groups,
)
from kpay_lab.evaluate.ranking import per_user
from kpay_lab.evaluate.split import make_split
from kpay_lab.evaluate.value import held_back_revenue
from kpay_lab.findings import sentence
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import top_k
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.mix import Mix
from kpay_lab.recommend.popularity import Popularity, Random
from kpay_lab.stats import resampled_means

binary = partial(interest_matrix, weighting="binary")


def rng():
    return np.random.default_rng(0)


def models():
    return {"random": Random(), "popularity": Popularity(), "ease": EASE(reg=20.0)}


@pytest.fixture(scope="module")
def world_split(small_world):
    return make_split(small_world[0], binary)


@pytest.fixture(scope="module")
def compared(world_split):
    return compare(models(), world_split, [5, 10])


def made_up(**columns):
    """One value a user and model, as compare would lay them out."""
    wide = pd.DataFrame(columns).rename_axis("user_id")
    wide.index = wide.index.astype(str)
    long = wide.melt(var_name="model", ignore_index=False).reset_index()
    return long.assign(metric="ndcg", k=10)


def test_compare_measures_what_each_model_ranks(world_split, compared):
    assert list(compared.values) == ["model", "metric", "k", "user_id", "value"]
    lists = top_k(
        EASE(reg=20.0).fit(world_split.train),
        world_split.users,
        10,
        exclude=world_split.seen,
        candidates=world_split.candidates,
    )
    expected = per_user(lists.items, world_split.test[world_split.users], [10])
    found = compared.values[(compared.values["model"] == "ease") & (compared.values["k"] == 10)]
    np.testing.assert_array_equal(found["value"], expected["value"])
    ids = world_split.train.interest.users[world_split.users[expected["user"]]]
    assert (found["user_id"].to_numpy() == ids.to_numpy()).all()


def test_the_table_of_a_comparison_holds_the_mean_of_every_metric(compared):
    table = compared.table(k=5)
    ease = table.set_index("model").loc["ease"]
    values = compared.values.query("model == 'ease' and k == 5")
    for metric, group in values.groupby("metric"):
        assert ease[metric] == pytest.approx(group["value"].mean(), abs=1e-15)
    assert ease["seconds"] == compared.seconds["ease"]
    assert table["ndcg"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(compared.table(), compared.table(k=10))
    with pytest.raises(ValueError, match="k is 7; it must be one of 5, 10"):
        compared.table(k=7)


def test_no_list_holds_a_seen_item_or_one_that_is_no_candidate(world_split, compared):
    for lists in compared.lists.values():
        rows, cols = np.nonzero(lists.items >= 0)
        items = lists.items[rows, cols]
        assert world_split.candidates[items].all()
        assert world_split.seen[lists.users[rows], items].sum() == 0


def test_compare_reports_progress_and_revenue(small_world, world_split):
    lines, paid = [], held_back_revenue(small_world[0], world_split)
    chosen = {"random": Random(seed=0)}  # scores no two items alike, so that the lists say it all
    found = compare(chosen, world_split, [10], paid=paid, on_progress=lines.append)
    assert lines == ["learning and ranking,  1 of 1: random"]
    earned = found.values[found.values["metric"] == "revenue"]
    lists = found.lists["random"]
    expected = sum(
        paid[[user]].toarray()[0, row[row >= 0]].sum()
        for user, row in zip(lists.users, lists.items, strict=True)
    )
    assert earned["value"].sum() == pytest.approx(expected)
    assert expected > 0


class CountsFits(EASE):
    """A model that counts how often any of its kind has learned."""

    n_fits = 0

    def fit(self, train):
        CountsFits.n_fits += 1
        return super().fit(train)


def test_a_part_of_a_mix_with_the_settings_of_a_compared_model_learns_once(world_split):
    parts = {"strict": CountsFits(reg=20.0), "popularity": Popularity()}
    compared_too = {"mixed": Mix(parts=parts), "strict": CountsFits(reg=20.0)}
    found = compare(compared_too, world_split, [10])
    assert CountsFits.n_fits == 1
    assert found.fitted["mixed"].parts_["strict"] is found.fitted["strict"]
    assert list(found.lists) == list(found.fitted) == list(found.seconds.index) == [*compared_too]
    assert found.values["model"].unique().tolist() == [*compared_too]
    alone = compare({"mixed": Mix(parts=parts)}, world_split, [10])
    assert CountsFits.n_fits == 2
    of_mix = found.values[found.values["model"] == "mixed"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_mix, alone.values, check_exact=True)
    other = {"mixed": Mix(parts=parts), "loose": CountsFits(reg=21.0)}
    compare(other, world_split, [10])
    assert CountsFits.n_fits == 4  # other settings are another model


def test_summary_holds_means_paired_differences_and_adjusted_p():
    base = rng().random(300)
    values = made_up(base=base, better=base + 0.1, noise=rng().permutation(base))
    table = summarise(values, reference="base", rng=rng()).set_index("model")
    assert table.loc["better", "difference"] == pytest.approx(0.1)
    assert table.loc["better", "difference_low"] == pytest.approx(0.1)  # every pair differs by it
    assert table.loc["better", "low"] < table.loc["better", "mean"] < table.loc["better", "high"]
    assert table.loc["better", "p"] == pytest.approx(1 / 5001)
    assert table.loc["better", "p_holm"] == pytest.approx(2 / 5001)
    assert table.loc["noise", "p"] > 0.05
    assert table.loc["base"][["difference", "p", "p_holm"]].isna().all()


def test_summary_names_the_models_when_the_reference_is_not_among_them(compared):
    with pytest.raises(ValueError, match="'als' was not compared"):
        summarise(compared.values, reference="als", rng=rng())


def test_summary_is_the_same_for_the_same_seed(compared):
    first, again = (summarise(compared.values, reference="ease", rng=rng()) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def stacked_by_metric(values):
    """One column a metric, k and model, as in the rows of a summary; a row a user."""
    wide = values.pivot(index="user_id", columns=["metric", "k", "model"], values="value")
    in_order = values[["metric", "k", "model"]].drop_duplicates()
    return wide.loc[values["user_id"].unique(), pd.MultiIndex.from_frame(in_order)]


def test_all_metrics_and_models_share_one_draw_of_resamples(compared):
    values = compared.values.sort_values("metric", kind="stable")
    found = summarise(values, reference="ease", rng=rng(), n_resamples=200)
    stacked = stacked_by_metric(values).sort_index(axis=1, level=[0, 1], sort_remaining=False)
    found = found.set_index(["metric", "k", "model"]).loc[stacked.columns]
    draws = resampled_means(stacked.to_numpy(), rng=rng(), n_resamples=200)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found["low"], low, rtol=1e-12)
    np.testing.assert_allclose(found["high"], high, rtol=1e-12)


def test_the_interval_of_a_difference_is_that_of_the_difference_of_resampled_means(compared):
    values = compared.values.query("metric == 'ndcg' and k == 10")
    found = summarise(values, reference="popularity", rng=rng(), n_resamples=200)
    wide = wide_by_model(values)
    draws = pd.DataFrame(resampled_means(wide, rng=rng(), n_resamples=200), columns=wide.columns)
    of_ease = found.set_index("model").loc["ease"]
    low, high = np.quantile(draws["ease"] - draws["popularity"], [0.025, 0.975])
    assert of_ease["difference_low"] == pytest.approx(low, rel=1e-12)
    assert of_ease["difference_high"] == pytest.approx(high, rel=1e-12)
    assert of_ease["difference"] == pytest.approx((wide["ease"] - wide["popularity"]).mean())


def test_p_values_of_a_summary_agree_with_all_flips_of_a_few_users():
    gaps = rng().normal(0.5, 1, 10)
    base = rng().random(10)
    values = made_up(base=base, other=base + gaps)
    both = pd.concat([values, values.assign(metric="map", value=values["value"] * 7)])
    exact = scipy_stats.permutation_test(
        (gaps,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    found = summarise(both, reference="base", rng=rng()).set_index(["metric", "model"])
    p = found["p"].unstack()["other"]
    assert p["ndcg"] == pytest.approx(exact, abs=3.5 * np.sqrt(exact * (1 - exact) / 5000))
    assert p["map"] == p["ndcg"]  # the same differences but for the unit, and the same flips


def test_a_metric_of_other_users_has_its_own_rows_of_the_summary():
    base = rng().random(40)
    ndcg = made_up(base=base, other=base[::-1])
    revenue = ndcg[ndcg["user_id"].astype(int) < 25].assign(metric="revenue")
    found = summarise(pd.concat([ndcg, revenue]), reference="base", rng=rng())
    means = found.set_index(["metric", "model"])["mean"]
    assert means["ndcg", "base"] == pytest.approx(base.mean())
    assert means["revenue", "base"] == pytest.approx(base[:25].mean())


def test_the_reference_alone_is_summarised_without_a_difference():
    found = summarise(made_up(base=rng().random(40)), reference="base", rng=rng())
    assert found.loc[0, "low"] < found.loc[0, "mean"] < found.loc[0, "high"]
    assert found.loc[0, ["difference", "p", "p_holm", "is_smallest"]].isna().all()


def test_intervals_do_not_depend_on_how_ids_sort(compared):
    ids = compared.values["user_id"].unique()
    masked = dict(zip(ids, rng().permutation(ids), strict=True))
    groups = pd.Series(np.resize(["some", "others"], len(ids)), ids)
    plain, hidden = (
        (
            summarise(values, reference="ease", rng=rng()),
            breakdown(values, labels),
            verdict(values, rng=rng()),
        )
        for values, labels in (
            (compared.values, groups),
            (compared.values.replace({"user_id": masked}), groups.rename(masked)),
        )
    )
    for ours, theirs in zip(plain[:2], hidden[:2], strict=True):
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert plain[2] == hidden[2]


def test_verdict_tells_the_beaten_from_the_equal():
    base = rng().random(300)
    better = base + rng().normal(0.1, 0.05, 300)
    values = made_up(popularity=base, als=better, ease=better + rng().normal(0, 0.01, 300) - 0.0002)
    first, second = verdict(values, rng=rng())
    assert first.startswith("als beats popularity by 0.0")
    assert first.endswith("NDCG@10 (p ≤ 0.0004)")  # 2 / 5001: no flip came out as far
    assert second.startswith("als cannot be told from ease in NDCG@10 (-0.00")
    assert second.endswith("ease is simpler and does as well, as far as these users tell")
    table = decide(values, rng=rng()).table
    assert table["question"].tolist() == ["floor", "simplest"]
    assert table["is_smallest"].tolist() == [True, False]
    np.testing.assert_allclose(table["p_holm"], np.maximum.accumulate(table["p"] * [2, 1]))


def test_a_setting_of_a_model_is_as_simple_as_the_model():
    base = rng().random(300)
    better = base + rng().normal(0.1, 0.05, 300)
    alike = better + rng().normal(0, 0.01, 300) - 0.0002
    own_names = {"ease_800": "ease", "ease_2": "ease", "mixed": "mix"}
    values = made_up(popularity=base, mixed=better, ease_800=alike)
    found = decide(values, rng=rng(), own_names=own_names)
    assert found.table["question"].tolist() == ["floor", "simplest"]
    values = made_up(popularity=base, ease_800=better, ease_2=alike)
    found = decide(values, rng=rng(), own_names=own_names)
    assert found.table["question"].tolist() == ["floor", "other"]


def test_among_23_models_the_best_can_win():
    noise = rng().normal(0, 0.05, (300, 23))
    base = rng().random(300)
    values = made_up(**{f"m{n:02d}": base + noise[:, n] for n in range(23)} | {"best": base + 0.1})
    table = decide(values, rng=rng(), floor="m00").table
    assert len(table) == 23
    assert (table["p_holm"] < 0.05).all()
    assert table["other"].iloc[0] == "m00"


def test_where_the_floor_is_tied_the_simplest_is_the_floor():
    base = rng().random(60)
    found = decide(made_up(popularity=base, ease=base[::-1] + 0.001), rng=rng()).table
    assert found["question"].tolist() == ["floor"]
    (said,) = verdict(made_up(popularity=base, ease=base[::-1] + 0.001), rng=rng())
    assert "popularity is simpler and does as well" in said


def test_the_decision_in_money_is_of_the_best_by_ndcg():
    base = rng().random(200)
    ndcg = made_up(popularity=base, ease=base + 0.1)
    earned = made_up(popularity=base * 9 + 3, ease=base * 9).assign(metric="revenue")
    values = pd.concat([ndcg, earned], ignore_index=True)
    (said,) = verdict(values, rng=rng(), metric="revenue")
    assert said == "popularity beats ease by 3.000 to 3.000 revenue a user@10 (p ≤ 0.0002)"


def said_by(decision, **asked):
    return [sentence(finding) for finding in decision.findings(**asked)]


def levels_of(decision):
    return [finding.level for finding in decision.findings()]


def test_findings_say_which_model_to_ship_and_its_leads():
    base = rng().random(300)
    better = base + rng().normal(0.1, 0.05, 300)
    near = better + rng().normal(0, 0.01, 300) - 0.0002
    tied = decide(made_up(popularity=base, als=better, ease=near), rng=rng())
    ship, lead, near_lead = said_by(tied)
    assert ship == ("Use als; ease cannot be told from it in NDCG@10 on 300 people.")
    assert lead.startswith("als beats popularity by +0.0")
    assert lead.endswith("; p ≤ 0.0004).")
    assert near_lead.startswith("als cannot be told from ease: +0.000")
    assert levels_of(tied) == ["good", "good", "watch"]
    alone = decide(made_up(popularity=base, als=better), rng=rng())
    assert "als: in NDCG@10 it beats every other model" in said_by(alone)[0]


def test_a_floor_that_is_not_beaten_is_what_to_ship():
    base = rng().random(60)
    luck = base[::-1] + 0.001
    decision = decide(made_up(popularity=base, ease=luck, random=base / 9), rng=rng())
    ship, over_floor, over_random = said_by(decision)
    assert ship.startswith("Use popularity: ease has the largest mean NDCG@10, and is not")
    assert "cannot be told from popularity" in over_floor
    assert "ease beats random" in over_random
    assert levels_of(decision) == ["watch", "watch", "good"]


def test_the_lead_in_money_is_said_over_the_floor_and_the_simplest_by_ndcg():
    base = rng().random(200)
    near = base + 0.1 + rng().normal(0, 0.01, 200)
    ndcg = made_up(popularity=base, ease=near, als=base + 0.1001)
    earned = made_up(popularity=base * 9 + 3, ease=base * 9, als=base * 9 + 1)
    values = pd.concat([ndcg, earned.assign(metric="revenue")], ignore_index=True)
    by_ndcg = decide(values, rng=rng())
    best = by_ndcg.table["model"].iloc[0]
    in_money = decide(values, rng=rng(), metric="revenue")
    simplest = by_ndcg.simplest
    *said, about_money = said_by(in_money, currency="CNY", days=18.25, simplest=simplest)
    expected = {"als": "−2.00 CNY", "ease": "−3.00 CNY"}[best]
    assert said[0].startswith(
        f"{best} earns less than popularity: {expected} a user in 18.2 days ("
    )
    assert len(said) == (2 if simplest else 1)
    assert about_money.startswith("Money here is net of refunds, in CNY. It counts purchases")
    undated = said_by(in_money)
    assert "a user in the part held back (" in undated[0]
    assert "in the log's own currency" in undated[-1]


def test_one_model_alone_has_nothing_to_find():
    assert decide(made_up(popularity=rng().random(50)), rng=rng()).findings() == []


def test_shown_groups_stand_in_the_order_of_their_labels():
    table = pd.DataFrame(
        {
            "group": ["25-34", "cold", "high: 9 items", "low: 1–2 items", "middle"],
            "mean": [1.0, 2.0, 3.0, 4.0, np.nan],
        }
    )
    in_order = ["cold", "low: 1–2 items", "high: 9 items", "25-34"]
    assert shown_rows(table).index.tolist() == in_order


def test_breakdown_suppresses_small_groups():
    """The next smallest group goes too: it could be found from the total."""
    zeros = np.r_[np.zeros(30), np.ones(23)]
    values = made_up(ease=zeros, popularity=zeros)
    groups = pd.Series(["most"] * 30 + ["some"] * 20 + ["few"] * 3, index=map(str, range(53)))
    found = breakdown(values, groups, min_users=5).set_index("group")
    assert found.loc["most", ["mean", "users"]].to_numpy().tolist() == [[0, 30]] * 2
    assert found.loc[["few", "some"], ["users", "mean", "low", "high"]].isna().all(axis=None)


def test_an_interval_stands_on_ten_users_with_a_value():
    few, ten = np.zeros(50), np.zeros(50)
    few[:9] = 0.5
    ten[:10] = np.linspace(0.1, 1, 10)
    groups = pd.Series("all", index=map(str, range(50)))
    found = breakdown(made_up(few=few, ten=ten, alike=np.ones(50)), groups).set_index("model")
    assert found["mean"].to_dict() == pytest.approx({"few": 0.09, "ten": 0.11, "alike": 1.0})
    assert found.loc[["few", "alike"], ["low", "high"]].isna().all(axis=None)
    assert 0 <= found.loc["ten", "low"] < 0.11 < found.loc["ten", "high"]
    assert (found["users"] == 50).all()


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("share", [0.06, 0.1, 0.2, 0.3, 0.6, 0.9])
def test_intervals_that_are_shown_cover(n, share):
    """Of 1,000 groups of n users, share of them with a value, those with an interval."""
    draw = np.random.default_rng(1)
    has_value = draw.random(1000 * n) < share
    scores = np.where(has_value, draw.beta(1.2, 2.5, 1000 * n), 0.0)
    groups = pd.Series(np.repeat(np.arange(1000), n), index=map(str, range(1000 * n)))
    found = breakdown(made_up(model=scores), groups).dropna(subset="low")
    mean = share * 1.2 / 3.7
    if n * share < 10:  # a group is shown by luck, which is no sample of groups
        assert len(found) < 500
    else:
        assert len(found) > 400
        assert found["low"].le(mean).mul(found["high"].ge(mean)).mean() >= 0.92


def test_user_groups_know_the_cold_and_the_busy(small_world):
    tables = small_world[0]
    split = make_split(tables, binary, train_share=0.2, cold_users=True)
    groups = user_groups(split)
    met = np.diff(split.train.interest.values.indptr)
    assert ((groups["activity"] == "cold") == (met == 0)).all()
    assert (met == 0).any()
    name = groups["activity"].str.partition(":")[0]
    met_by = {label: met[name == label] for label in ("low", "middle", "high")}
    assert met_by["low"].max() < met_by["middle"].min()
    assert met_by["middle"].max() < met_by["high"].min()
    ages = tables.users.set_index("user_id")["age"].reindex(groups.index)
    assert ((groups["age"] == "25-34") == ages.between(25, 34.999)).all()


@pytest.mark.parametrize(
    ("n_items", "sizes"),
    [
        ([5] * 60, {"alike: 5 items": 60}),
        ([1] * 90 + [2] * 6 + [3] * 4, {"low: 1 item": 90, "high: 2–3 items": 10}),
        ([1] * 10 + [2] * 90, {"low: 1 item": 10, "high: 2 items": 90}),
        ([2] * 55 + [8] * 45, {"low: 2 items": 55, "high: 8 items": 45}),
        (
            range(1, 31),
            {"low: 1–10 items": 10, "middle: 11–20 items": 10, "high: 21–30 items": 10},
        ),
        ([0, 0], {"cold": 2}),
    ],
)
def test_users_with_equally_many_items_stay_in_one_group(n_items, sizes):
    labels = activity_groups(np.array(n_items))
    assert pd.Series(labels).value_counts().to_dict() == sizes


def test_recall_by_popularity_adds_up_to_the_hits(world_split, compared):
    found = recall_by_item_popularity(compared, world_split, k=10)
    at_10 = compared.values[
        (compared.values["k"] == 10) & (compared.values["metric"] == "precision")
    ]
    hits = at_10.groupby("model")["value"].sum() * 10
    ours = (found["recall"] * found["pairs"]).groupby(found["model"]).sum()
    pd.testing.assert_series_equal(ours, hits.reindex(ours.index), check_names=False)
    assert found.groupby("model")["pairs"].sum().eq(world_split.test.nnz).all()


def test_protocol_gap_ranks_within_each_split(small_world):
    found = protocol_gap(models(), small_world[0], binary, rng=rng())
    assert len(found) == 9
    for _, part in found.groupby("split"):
        by_rank = part.sort_values("rank")["value"].to_numpy()
        assert sorted(part["rank"]) == [1, 2, 3]
        assert (np.diff(by_rank) < 0).all()
