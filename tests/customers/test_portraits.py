import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict

from kpay_lab.customers.classify import (
    BASE,
    FOREST,
    Classification,
    classifiers,
    feature_weights,
    fitted_tree,
    judge_classifiers,
    stability_over_time,
)
from kpay_lab.customers.features import habit_columns, some_users, user_features
from kpay_lab.customers.outcomes import labelled_windows
from kpay_lab.customers.portraits import (
    HalvesAgreement,
    compare_halves,
    find_segments,
    group_users,
    interest_tags,
    segment_map,
)
from kpay_lab.customers.reference import one_crowd, one_mode
from kpay_lab.data.public import oulad
from kpay_lab.data.tables import TooLittleError
from kpay_lab.findings import sentence
from kpay_lab.plots import plot_scatter, plot_tree
from kpay_lab.stats import sample_rows
from kpay_lab.world.simulate import WorldSpec, simulate


def rng():
    return np.random.default_rng(0)


def three_clouds(n: int = 60) -> tuple[pd.DataFrame, np.ndarray]:
    truth = np.repeat([0, 1, 2], n)
    centres = np.array([[0, 0, 0, 0], [6, 6, 0, 0], [0, 6, 6, 0]])
    values = centres[truth] + rng().normal(size=(3 * n, 4))
    return pd.DataFrame(values, columns=list("abcd")), truth


@pytest.mark.parametrize("method", ["kmeans", "mixture"])
def test_separate_clouds_are_found_and_named(method):
    features, truth = three_clouds()
    found = find_segments(features, rng=rng(), method=method, ks=(2, 3, 4))
    assert found.k == 3
    assert adjusted_rand_score(truth, found.labels) > 0.95
    assert all("d" not in name[0] for name in found.names)
    assert found.labels.value_counts(sort=False).sort_index().is_monotonic_decreasing
    table = found.table()
    assert table["n"].tolist() == [(found.labels == number).sum() for number in range(3)]
    assert table["share"].sum() == pytest.approx(1)
    assert tuple(table["name"]) == found.names


def test_segments_of_many_people_are_settled_on_a_sample_and_hold_for_everybody():
    features, truth = three_clouds(400)
    settings = {"ks": (2, 3), "n_resamples": 6}
    found = find_segments(features, rng=rng(), most_users=300, **settings)
    assert (found.k, found.n_judged, len(found.labels)) == (3, 300, 1200)
    drawn = rng()
    sample = features.iloc[sample_rows(len(features), 300, rng=drawn)]
    alone = find_segments(sample, rng=drawn, **settings)
    assert found.candidates.equals(alone.candidates)
    assert adjusted_rand_score(alone.labels, found.labels[sample.index]) == 1
    assert adjusted_rand_score(truth, found.labels) > 0.95
    in_group = features[found.labels == 0]
    everybody = features.std(ddof=0)
    differs = (in_group.mean() - features.mean()) / everybody
    assert found.profile.loc[0].to_numpy() == pytest.approx(differs.to_numpy())
    ones = pd.Series(7, found.labels.index)
    words = said(found.findings(found, ones))["segments/sample"][1]
    assert words.startswith("How many segments there are was tested on 300 of 1,200 people")


def test_as_many_people_as_may_be_judged_are_no_sample():
    features, _ = three_clouds()
    settings = {"ks": (2, 3), "n_resamples": 6}
    n_users = len(features)
    found = find_segments(features, rng=rng(), most_users=n_users, **settings)
    more = find_segments(features, rng=rng(), most_users=10 * n_users, **settings)
    assert found.n_judged == n_users
    assert found.candidates.equals(more.candidates) and found.labels.equals(more.labels)
    ones = pd.Series(7, found.labels.index)
    assert "segments/sample" not in said(found.findings(found, ones))


def test_pure_noise_has_no_structure():
    noise = pd.DataFrame(rng().normal(size=(600, 8)))
    found = find_segments(noise, rng=rng())
    assert (found.k, found.names) == (1, ("everybody",))
    assert not found.candidates["accepted"].any()


def test_segments_refuse_what_they_cannot_group():
    features, _ = three_clouds(1)
    with pytest.raises(ValueError, match="3 users are too few for 6 groups"):
        find_segments(features, rng=rng())
    with pytest.raises(ValueError, match="'b' has gaps"):
        find_segments(three_clouds()[0].assign(b=np.nan), rng=rng())
    with pytest.raises(ValueError, match="method is 'dbscan'"):
        find_segments(three_clouds()[0], rng=rng(), method="dbscan")
    with pytest.raises(ValueError, match="most_users is 6; it takes more"):
        find_segments(three_clouds()[0], rng=rng(), most_users=6)


def test_features_do_not_see_the_future(small_world):
    tables, _ = small_world
    cut = tables.events["timestamp"].quantile(0.5).floor("h")
    before = user_features(tables, cut)
    shorter = tables.with_events(tables.events[tables.events["timestamp"] < cut])
    last = pd.DataFrame({**tables.events.iloc[-1:].to_dict("list")}).assign(timestamp=cut)
    shorter = tables.with_events(pd.concat([shorter.events, last.astype(tables.events.dtypes)]))
    pd.testing.assert_frame_equal(user_features(shorter, cut), before)


def test_a_refund_without_a_date_is_known_with_its_order(small_world):
    tables, _ = small_world
    first = tables.orders["timestamp"].idxmin()
    no_date = pd.Series(pd.NaT, tables.orders.index, dtype="datetime64[us, UTC]")
    orders = tables.orders.assign(refund_amount=0.0, refunded_at=no_date)
    orders.loc[first, "refund_amount"] = orders.loc[first, "amount"]
    cut = tables.events["timestamp"].quantile(0.9)
    rate = user_features(replace(tables, orders=orders), cut)["refund rate"]
    assert rate.gt(0).sum() == 1
    assert rate.idxmax() == orders.loc[first, "user_id"]


def test_a_cut_outside_the_log_is_named(small_world, tiny):
    tables, _ = small_world
    with pytest.raises(ValueError, match="outside the log; choose one from"):
        user_features(tables, pd.Timestamp("2030-01-01", tz="UTC"))


def test_tags_are_what_the_user_watches_more_than_others(small_world):
    tables, _ = small_world
    tags = interest_tags(tables, n_tags=2)
    assert tags.groupby("user_id").size().max() == 2
    assert (tags["lift"] > 1).all()
    user, tag = tags.loc[0, ["user_id", "tag"]]
    category = tables.events["item_id"].map(tables.items.set_index("item_id")["category"])
    mine = (category[tables.events["user_id"] == user] == tag).mean()
    assert mine > (category == tag).mean()


def test_classifiers_beat_the_base_rate_where_there_is_something_to_learn():
    features, truth = three_clouds()
    outcome = pd.Series(np.array(["x", "y", "z"])[truth])
    judged = judge_classifiers(
        features.assign(colour=np.array(["red", "blue"])[truth % 2]), outcome
    )
    scores = judged.table()
    assert scores.loc[BASE, "accuracy"] == pytest.approx(1 / 3)
    assert (scores["accuracy"].drop(BASE) > 0.9).all()
    assert scores.loc[BASE, "Brier"] == pytest.approx(2 / 3, abs=0.02)
    assert (scores["Brier"].drop(BASE) < 0.2).all()
    assert len(judged.per_class) == 4 * 3
    weights = feature_weights(features, outcome, rng=rng())
    assert set(weights.index[:3]) == {"a", "b", "c"}
    assert not weights.loc["d", "selected"]
    steps = stability_over_time([(features, outcome), (features + 0.1, outcome)])
    assert (steps.set_index("model")["accuracy"].drop(BASE) > 0.9).all()


def test_the_next_tag_comes_after_what_is_known(small_world, tiny):
    tables, _ = small_world
    (_, _), (features, tags) = labelled_windows(tables)
    cut = tables.events["timestamp"].quantile(2 / 3)
    pd.testing.assert_frame_equal(features, user_features(tables, cut))
    events = tables.events
    later = interest_tags(tables.with_events(events[events["timestamp"] >= cut]), n_tags=1)
    expected = later.set_index("user_id")["tag"]
    assert tags.to_dict() == expected[tags.index].to_dict()
    assert tags.value_counts().min() >= 10
    assert labelled_windows(tiny) == []


def test_a_column_of_users_leaves_the_features(small_world):
    tables, _ = small_world
    ((features, labels),) = labelled_windows(tables, "gender")
    assert "gender" not in features
    assert set(labels) <= set(tables.users["gender"])
    with pytest.raises(ValueError, match="outcome is 'taste'; choose 'next tag' or one of"):
        labelled_windows(tables, "taste")


def test_a_sample_holds_whole_users(small_world):
    tables, _ = small_world
    some = some_users(tables, 50, rng=rng())
    chosen = set(some.events["user_id"])
    assert len(chosen) == 50
    assert some.exposures.equals(tables.exposures[tables.exposures["user_id"].isin(chosen)])
    assert some_users(tables, 1000, rng=rng()) is tables


def test_one_class_only_is_refused():
    features, _ = three_clouds()
    with pytest.raises(ValueError, match="two labels or more"):
        judge_classifiers(features, pd.Series("same", features.index))


def test_segments_draw_themselves_and_why_there_are_so_many():
    features = three_clouds()[0]
    segments = find_segments(features, rng=rng(), ks=(2, 3))
    heat = segments.plot()
    assert heat.get_xticklabels()[0].get_text() == f"0 (n = {(segments.labels == 0).sum()})"
    drawn = heat.collections[0].get_array()
    assert np.abs(drawn).max() == pytest.approx(segments.profile.abs().max(axis=None))
    stability, silhouette = segments.plot_choice().axes
    assert stability.lines[0].get_ydata().tolist() == segments.candidates["stability"].tolist()
    assert silhouette.lines[1].get_ydata().tolist() == segments.candidates["threshold"].tolist()
    accepted = segments.candidates.loc[segments.candidates["accepted"], "k"]
    assert stability.lines[-1].get_xdata().tolist() == accepted.tolist()


def test_no_segment_of_the_map_lies_on_top_of_another():
    places = pd.DataFrame({"x": range(200), "y": 0.0, "segment": np.repeat([0, 1], 100)})
    users = plot_scatter(places, ("first", "second"))
    drawn = users.collections[0]
    in_order = ["first" if x < 100 else "second" for x in drawn.get_offsets()[:, 0]]
    assert 30 < in_order[:100].count("second") < 70
    colour_of = dict(zip(in_order, map(tuple, drawn.get_facecolors()), strict=True))
    legend = users.get_legend()
    assert [text.get_text() for text in legend.texts] == ["0: first", "1: second"]
    for name, handle in zip(("first", "second"), legend.legend_handles, strict=True):
        assert tuple(handle.get_facecolors()[0][:3]) == colour_of[name][:3]


def test_a_tree_is_drawn_with_its_questions():
    features, truth = three_clouds()
    tree = classifiers(0)["decision tree"].fit(features.astype(float), truth)
    drawn = plot_tree(tree, title="Decision tree").texts
    texts = [text.get_text() for text in drawn]
    assert [text for text in texts if "\n≤ " in text and "?" in text]
    assert {"yes", "no"} < set(texts)
    leaves = [text for text in texts if "right: " in text]
    assert len(leaves) == 3  # one a cloud: no two leaves of one question say the same
    assert sum(int(re.search(r"\((\d+)%", leaf)[1]) for leaf in leaves) in (99, 100, 101)
    assert min(text.get_fontsize() for text in drawn) >= 8


def test_a_question_that_changes_no_answer_is_not_drawn():
    chances = pd.DataFrame({"a": np.arange(100.0)})
    outcome = pd.Series(["x"] * 40 + ["y"] * 8 + ["x"] * 52)
    tree = fitted_tree(chances, outcome)
    assert tree[-1].tree_.node_count > 1
    texts = [text.get_text() for text in plot_tree(tree).texts]
    assert texts == ["x\nright: 92%  (100%)"]


def test_open_university_learners_are_classified(real_data):
    tables = oulad(real_data("oulad")).tables
    features = user_features(tables, leave_out=("final_result",))
    assert "final_result" not in features
    assert features["imd_band"].isna().any()
    some = features.iloc[::2]
    judged = judge_classifiers(some, tables.users.set_index("user_id")["final_result"], seeds=(0,))
    brier = judged.scores["Brier"]
    assert brier["decision tree"] < brier[BASE]


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "least_share"), [(1.0, 0.9), (2.0, 0.7)])
def test_planted_segments_are_found_as_far_as_the_best_classifier_allows(noise, least_share):
    tables, truth = simulate(WorldSpec(noise=noise))
    features = user_features(tables)
    habits = features[habit_columns(features)]
    planted = pd.Series(truth.segment, truth.users).loc[habits.index]
    best = cross_val_predict(classifiers(0)["naive Bayes"], habits, planted, cv=5)
    ceiling = adjusted_rand_score(planted, best)
    found = find_segments(habits, rng=rng())
    assert adjusted_rand_score(planted, found.labels) > least_share * ceiling


def test_users_who_are_alike_are_not_told_apart(recwarn):
    """Where fewer users differ than groups are asked, there are as many groups as differ."""
    two_kinds = np.repeat([[0.0, 1.0], [1.0, 0.0]], 20, axis=0)
    assert sorted(np.bincount(group_users(two_kinds, two_kinds, 4))) == [20, 20]
    alike = pd.DataFrame(np.ones((40, 2)), columns=["x", "y"])
    segments = find_segments(alike, rng=np.random.default_rng(0), ks=(2, 3))
    assert segments.k == 1
    assert (segment_map(alike, segments)[["x", "y"]] == 0).all(axis=None)
    assert [str(one.message) for one in recwarn] == []


def one_long_cloud(rng, n_users=200, n_features=3):
    """Draw one kind of user, whose habits go together: the correlation of each two is 0.7."""
    own = rng.normal(size=(n_users, n_features))
    shared = rng.normal(size=(n_users, 1))
    return np.sqrt(0.7) * shared + np.sqrt(0.3) * own


def test_the_reference_keeps_correlation_and_skew_and_drops_the_second_hump():
    skewed = np.exp(one_long_cloud(rng(), 2000))
    (crowd,) = one_crowd(skewed, n_draws=1, rng=rng())
    kept = spearmanr(crowd).statistic[0, 1]
    assert kept == pytest.approx(spearmanr(skewed).statistic[0, 1], abs=0.05)
    shape = np.quantile(skewed[:, 0], [0.1, 0.5, 0.9])
    assert np.quantile(crowd[:, 0], [0.1, 0.5, 0.9]) == pytest.approx(shape, rel=0.15)
    humps = np.append(rng().normal(0, 1, 500), rng().normal(12, 1, 500))
    emptiest = np.histogram(one_mode(humps), bins=20, range=(0, 12))[0].min()
    assert np.histogram(humps, bins=20, range=(0, 12))[0].min() == 0
    assert emptiest > 10
    constant = np.column_stack([np.ones(30), rng().normal(size=30)])
    (crowd,) = one_crowd(constant, n_draws=1, rng=rng())
    assert (crowd[:, 0] == 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("shape", [np.asarray, np.exp])
def test_one_correlated_cloud_is_seldom_called_segments(shape):
    drawn = rng()
    n_clouds = 200
    n_parted = 0
    for _ in range(n_clouds):
        cloud = pd.DataFrame(shape(one_long_cloud(drawn)))
        n_parted += find_segments(cloud, rng=drawn, ks=(2, 3, 4), n_resamples=6).k > 1
    share = n_parted / n_clouds
    print(f"one cloud is parted in {share:.3f}")
    assert share <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / n_clouds)


@pytest.mark.parametrize(
    "centres",
    [
        [[0, 0, 0, 0], [5, 5, 0, 0]],
        [[0, 0, 0, 0], [6, 6, 0, 0], [0, 6, 6, 0]],
        [[0, 0], [7, 7], [14, 14]],
    ],
)
def test_kinds_far_apart_are_found_whether_or_not_they_lie_on_a_line(centres):
    kinds = np.repeat(np.array(centres, float), 80, axis=0)
    for number in range(3):
        drawn = np.random.default_rng(number)
        features = pd.DataFrame(kinds + drawn.normal(size=kinds.shape))
        found = find_segments(features, rng=drawn, ks=(2, 3, 4), n_resamples=6)
        assert found.k == len(centres)


@pytest.mark.slow
def test_features_of_pure_noise_are_seldom_selected_and_real_ones_mostly():
    drawn = rng()
    n_logs = 30
    noise = [f"noise {number}" for number in range(16)]
    n_noise = 0
    n_real = 0
    for _ in range(n_logs):
        features = pd.DataFrame(drawn.normal(size=(400, 18)), columns=["a", "b", *noise])
        score = 1.5 * features["a"] + features["b"] + drawn.logistic(size=400)
        outcome = pd.Series(np.where(score > 0, "buys", "leaves"))
        selected = feature_weights(features, outcome, rng=drawn)["selected"]
        n_noise += selected[noise].sum()
        n_real += selected[["a", "b"]].sum()
    share = n_noise / (n_logs * len(noise))
    print(f"{share:.3f} of pure noise is selected, {n_real / (2 * n_logs):.2f} of what is real")
    assert share <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / (n_logs * len(noise)))
    assert n_real / (2 * n_logs) > 0.9


def two_kinds(n=50):
    """Two far clouds, which k-means and the mixture both find."""
    kinds = np.repeat([[0.0, 9.0], [9.0, 0.0]], n, axis=0)
    return pd.DataFrame(kinds + rng().normal(size=(2 * n, 2)), columns=["x", "y"])


def said(findings):
    return {finding.key: (finding.level, sentence(finding)) for finding in findings}


def test_findings_say_whether_segments_exist():
    segments = find_segments(two_kinds(), rng=rng(), ks=(2, 3))
    ones = pd.Series(7, segments.labels.index)
    level, words = said(segments.findings(segments, ones))["segments/exist"]
    assert level == "good"
    assert words.startswith("There are 2 kinds of users among 100 people")
    assert "finds 2; the two groupings agree by 1," in words
    cloud = pd.DataFrame(rng().normal(size=(100, 3)), columns=["x", "y", "z"])
    none = find_segments(cloud, rng=rng(), ks=(2, 3))
    ((level, words),) = said(none.findings(none, ones)).values()
    assert level == "watch"
    assert words.startswith("No segments are found among 100 people")
    level, words = said(segments.findings(none, ones))["segments/exist"]
    assert level == "watch"
    assert "k-means finds 2" in words and "a Gaussian mixture finds no segments" in words


def test_findings_say_how_large_segments_are_and_what_parts_them():
    features = two_kinds().iloc[:80].assign(same=0.5)  # 50 of one kind and 30 of the other
    segments = find_segments(features, rng=rng(), ks=(2, 3))
    ones = pd.Series(7, segments.labels.index)
    _, apart = segments.findings(segments, ones)
    assert apart.values["largest"] == 50 / 80 and apart.values["smallest"] == 30 / 80
    assert set(apart.values["features"][:2]) == {"x", "y"}
    reach = segments.profile.loc[0] - segments.profile.loc[1]
    assert apart.values["reach"] == pytest.approx(reach.abs().max())


def test_segments_of_busy_and_quiet_people_are_called_so():
    segments = find_segments(two_kinds(), rng=rng(), ks=(2, 3))
    n_events = pd.Series(np.where(segments.labels == 0, 20, 200), segments.labels.index)
    found = said(segments.findings(segments, n_events))
    level, words = found["segments/exist"]
    assert level == "watch" and words.startswith("2 groups of users are found among 100 people")
    level, words = found["segments/activity"]
    assert level == "watch"
    assert "half of segment 1 have 200 events or more, half of segment 0 20 or more" in words
    assert "100 % of the differences in activity" in words


def test_people_keep_their_segment_in_half_of_their_events(small_world, tiny):
    tables, _ = small_world
    columns = habit_columns(user_features(tables))
    halves = compare_halves(tables, columns, 2, rng=rng())
    assert halves.n_users > 100 and -1 <= halves.agreement <= 1
    same = HalvesAgreement(k=2, n_users=150, agreement=1.0)
    assert said(same.findings())["segments/people"][0] == "good"
    with pytest.raises(
        TooLittleError, match="users are in both halves, and it takes more than 100"
    ):
        compare_halves(tiny, columns, 2, rng=rng())


def judged_by_hand(right, squared_error):
    """One model beside the base rate, on as many people as there are rows."""
    right = pd.DataFrame(right, dtype=float)
    squared_error = pd.DataFrame(squared_error, dtype=float)
    scores = pd.DataFrame({"accuracy": right.mean(), "Brier": squared_error.mean()})
    return Classification(scores, pd.DataFrame(), {}, right, squared_error)


def test_findings_say_whether_a_model_is_right_more_often_than_a_guess():
    guess = np.tile([1, 0], 50)
    knows = judged_by_hand({BASE: guess, FOREST: 1}, {BASE: 0.5, FOREST: np.tile([0.0, 0.1], 50)})
    ((level, words),) = said(knows.findings("gender")).values()
    assert level == "good"
    # the difference is 1 for 50 of 100: 0.5 ± 1.984 · 0.5025 / 10
    assert "right for 100 % of 100 people, the most frequent answer for 50 %" in words
    assert "(+50 percentage points, +40 percentage points to +60 percentage points)" in words
    same = judged_by_hand(
        {BASE: guess, FOREST: guess}, {BASE: 0.5, FOREST: np.tile([0.3, 0.5], 50)}
    )
    found = said(same.findings("gender"))
    level, words = found["portraits/outcome"]
    assert level == "watch" and "(gender) is not shown to be predicted better" in words
    assert "are better than the base rate: a Brier score of 0.4" in found["portraits/chances"][1]
