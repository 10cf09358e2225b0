"""The front door: the calls of the README, and a wrong first guess."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import kpay_lab as kp
from kpay_lab import workbench
from kpay_lab.recommend import MODELS
from kpay_lab.recommend.base import top_k
from kpay_lab.recommend.choose import build_model
from kpay_lab.recommend.lists import COLD

TITLES = {"c1": "Python 入门", "c2": "摄影第一课", "c3": "写作", "c4": "写作", "c5": "瑜伽"}


def events(n_users=60):
    """Half of all pairs of users 10001, … and items c1 to c9, in order of time."""
    rng = np.random.default_rng(0)
    pairs = rng.permutation(np.argwhere(rng.random((n_users, 9)) < 0.5))
    start = pd.Timestamp("2024-03-01", tz="UTC")
    table = {
        "user_id": [str(10001 + user) for user in pairs[:, 0]],
        "item_id": [f"c{1 + item}" for item in pairs[:, 1]],
        "timestamp": start + pd.to_timedelta(np.arange(len(pairs)), unit="h"),
        "watch_time": rng.integers(5, 600, len(pairs)).astype(float),
    }
    return pd.DataFrame(table)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A folder of three tables; the user ``new`` has done nothing."""
    folder = tmp_path_factory.mktemp("log")
    table = events()
    table.to_csv(folder / "events.csv", index=False)
    items = pd.DataFrame({"item_id": sorted(table["item_id"].unique())})
    items["title"] = items["item_id"].map(TITLES)
    items.to_csv(folder / "items.csv", index=False)
    users = pd.DataFrame({"user_id": [*table["user_id"].unique(), "new"]})
    users.to_csv(folder / "users.csv", index=False)
    return kp.open_log(folder)


@pytest.fixture(scope="module")
def model(log):
    return kp.fit(log, "ease", reg=20)


@pytest.fixture(scope="module")
def result(log):
    return kp.compare(log, ["ease", "als", "content", "markov"], ks=[3, 5], n_resamples=200)


def test_a_frame_is_a_log_too(log):
    opened = kp.open_log(events())
    assert opened.tables.events["user_id"].tolist() == log.tables.events["user_id"].tolist()


@pytest.mark.parametrize("name", MODELS)
def test_a_list_is_the_models_best_of_what_is_new(log, name):
    fitted = kp.fit(log, name)
    frame = fitted.recommend("10001", k=3)
    assert list(frame) == ["rank", "item_id", "title", "score", "why"]
    train = fitted.train
    place = train.interest.users.get_loc("10001")
    scores = build_model(name).fit(train).score(np.array([place]))[0]
    met = log.tables.events.query("user_id == '10001'")["item_id"]
    by_score = pd.Series(scores, train.interest.items).drop(met.unique())
    best = by_score.sort_values(ascending=False, kind="stable").head(3)
    assert frame["item_id"].tolist() == best.index.tolist()
    assert frame["score"].tolist() == pytest.approx(best.tolist())
    assert frame["rank"].tolist() == [1, 2, 3][: len(best)]


def test_several_users_are_one_frame(log, model):
    ids = log.tables.events["user_id"].value_counts().index[:-3:-1].tolist()  # the least met
    frame = model.recommend(ids, k=2)
    assert list(frame)[:2] == ["user_id", "rank"]
    assert frame["user_id"].tolist() == list(np.repeat(ids, 2))
    for user in ids:
        rows = frame[frame["user_id"] == user].drop(columns="user_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, model.recommend(user, k=2))
    pd.testing.assert_frame_equal(frame, model.recommend(pd.Series(ids), k=2))


def test_titles_and_reasons_where_there_are_any(model):
    frame = model.recommend(list(model.users), k=9)
    expected = frame["item_id"].map(TITLES).fillna(frame["item_id"])
    assert frame["title"].tolist() == expected.tolist()
    assert set(frame.loc[frame["user_id"] == "new", "why"]) == {COLD}
    warm = frame[frame["user_id"] == "10001"].iloc[0]
    met = model.train.tables.events.query("user_id == '10001'")["item_id"]
    names = [TITLES.get(item, item) for item in met]
    assert set(warm["why"].split("; ")) <= set(names)


@pytest.mark.parametrize("name", ["ease", "content", "popularity", "user_neighbours"])
def test_a_newcomer_with_a_users_history_gets_a_users_list(log, name):
    fitted = kp.fit(log, name)
    n_events = log.tables.events["user_id"].value_counts()
    user = n_events.index[n_events == 4][0]
    degrees = fitted.train.interest.values[[fitted.users.get_loc(user)]]
    history = dict(zip(fitted.items[degrees.indices], degrees.data, strict=True))
    frame = fitted.recommend_new(history, k=9)
    if name == "user_neighbours":  # the user is the newcomer's nearest neighbour
        assert list(frame) == ["rank", "item_id", "title", "score", "why"]
        assert not set(frame["item_id"]) & set(history)
    else:
        pd.testing.assert_frame_equal(frame, fitted.recommend(user, k=9))


def test_a_newcomers_items_by_id_by_title_and_without_degrees(model):
    by_id = model.recommend_new({"c1": 1, "c2": 1.0}, k=4)
    pd.testing.assert_frame_equal(model.recommend_new(["c1", "c2"], k=4), by_id)
    pd.testing.assert_frame_equal(model.recommend_new(["Python 入门", "c2"], k=4), by_id)
    place = model.items.get_indexer(["c1", "c2"])
    scores = pd.Series(model.model.item_weights_[place].sum(axis=0), model.items)
    best = scores.drop(["c1", "c2"]).nlargest(4)
    assert by_id["item_id"].tolist() == best.index.tolist()
    assert by_id["score"].tolist() == pytest.approx(best.tolist(), rel=1e-5)
    assert set(model.recommend_new(["c1"])["why"]) <= {"Python 入门", ""}


def test_a_newcomer_without_items_gets_what_a_cold_user_gets(model):
    pd.testing.assert_frame_equal(model.recommend_new([], k=3), model.recommend("new", k=3))


def test_similar_by_id_and_by_title(model):
    by_id = model.similar("c1", k=3)
    assert list(by_id) == ["rank", "item_id", "title", "score"]
    pd.testing.assert_frame_equal(by_id, model.similar("Python 入门", k=3))
    place = model.items.get_loc("c1")
    weights = pd.Series(model.model.item_weights_[place], model.items).drop("c1")
    best = weights[weights > 0].nlargest(3)
    assert by_id["item_id"].tolist() == best.index.tolist()
    assert by_id["score"].tolist() == pytest.approx(best.tolist())


@pytest.mark.parametrize("name", ["popularity", "als"])
def test_similar_is_a_cosine_where_a_model_has_no_item_weights(log, name):
    fitted = kp.fit(log, name)
    vectors = fitted.train.interest.values.toarray().T
    if name == "als":
        vectors = fitted.model.item_factors_
    place = fitted.items.get_loc("c2")
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[place])
    cosine = pd.Series(vectors @ vectors[place] / lengths, fitted.items).drop("c2")
    frame = fitted.similar("c2", k=4)
    assert frame["score"].tolist() == pytest.approx(cosine.nlargest(4).tolist())
    assert "c2" not in set(frame["item_id"])


def test_a_fitted_model_says_what_it_is(model):
    assert repr(model).startswith("EASE(reg=20, dtype='float32'), fitted to 61 users and 9 items")


def test_a_table_of_means_and_leads(result):
    table = result.table()
    assert table["ndcg@5"].is_monotonic_decreasing
    values = result.values.query("metric == 'ndcg' and k == 5")
    wide = values.pivot(index="user_id", columns="model", values="value")
    rows = table.set_index("model")
    for name in ("ease", "als", "markov"):
        assert rows.loc[name, "ndcg@5"] == pytest.approx(wide[name].mean())
        lead = (wide[name] - wide["popularity"]).mean()
        assert rows.loc[name, "lead_over_popularity"] == pytest.approx(lead)
    assert (table["low"] <= table["ndcg@5"]).all()
    assert (table["ndcg@5"] <= table["high"]).all()
    assert np.isnan(rows.loc["popularity", "lead_over_popularity"])
    assert "map@3" in result.table("map", k=3)


def test_the_verdict_names_every_model_and_the_log_is_parted_in_time(result):
    said = " ".join(result.verdict())
    assert all(name in said for name in result.seconds.index)
    assert "Split `time`" in repr(result)
    assert said.split()[0] == result.table()["model"].iloc[0]


def test_only_what_was_met_is_ranked_on_request(log):
    asked = {"relevant": "interest", "threshold": 0.5, "candidates": "rated", "n_resamples": 100}
    found = kp.compare(log, ["ease"], **asked)
    assert "Candidates (`rated`): for each user what they met in this part" in repr(found)
    with pytest.raises(ValueError, match="needs relevant='interest'"):
        kp.compare(log, ["ease"], candidates="rated")


def test_a_model_without_its_data_is_left_out_with_the_reason(log):
    bare = kp.open_log(events()[["user_id", "item_id"]])
    found = kp.compare(bare, ["markov", "ease"], n_resamples=100)
    assert list(found.seconds.index) == ["popularity", "ease"]
    assert "markov was left out: the log has no times" in repr(found)


def test_a_model_that_orders_nothing_is_left_out_with_the_reason(log):
    ids_and_times = log.tables.events[["user_id", "item_id", "timestamp"]]
    found = kp.compare(kp.open_log(ids_and_times), ["baseline", "ease"], n_resamples=100)
    assert "orders nothing" in found.left_out["baseline"]
    assert set(found.table()["model"]) == {"popularity", "ease"}
    assert "baseline was left out: it gives every candidate" in repr(found)


def test_settings_reach_the_models_and_a_seed_the_intervals(log):
    def table(seed, reg=1000):
        settings = {"ease": {"reg": reg}, "popularity": {}}
        found = kp.compare(log, settings, seed=seed, n_resamples=100)
        return found.table().drop(columns="seconds")

    pd.testing.assert_frame_equal(table(0), table(0))
    assert not table(0)["low"].equals(table(1)["low"])
    assert not table(0)["ndcg@10"].equals(table(0, reg=0.1)["ndcg@10"])


def test_every_model_is_searched_alike_and_the_table_says_so(log):
    wanted = {"ease": {}, "ease_800": {"model": "ease", "reg": 800.0}, "markov": {}}
    wanted["mix"] = {"parts": ["ease_800", "markov"]}
    found = kp.compare(log, wanted, n_trials=3, n_resamples=100)
    table = found.table().set_index("model")
    trials = {"popularity": 0, "ease": 3, "ease_800": 0, "markov": 3, "mix": 3}
    assert table["trials"].to_dict() == trials
    assert table.loc["ease_800", "settings"] == "as configured"
    assert table.loc["ease", "settings"].startswith("reg=")
    assert table.loc["mix", "settings"].startswith("weights=(")
    as_set = kp.compare(log, {"ease_800": {"model": "ease", "reg": 800.0}}, n_resamples=100)
    expected = as_set.table().set_index("model").loc["ease_800", "ndcg@10"]
    assert table.loc["ease_800", "ndcg@10"] == pytest.approx(expected)
    assert "ease_800" in " ".join(found.verdict())


def test_without_trials_all_stand_as_configured(log):
    table = kp.compare(log, ["ease"], n_trials=0, n_resamples=100).table()
    assert set(table["settings"]) == {"as configured"} and set(table["trials"]) == {0}
    searched = kp.compare(log, ["ease"], n_resamples=100).table().set_index("model")
    assert searched.loc["ease", "trials"] == 6


def test_a_mix_by_its_names_and_weights(log):
    fitted = kp.fit(log, "mix", parts=["ease", "content"], weights=[1, 0])
    alone = kp.fit(log, "ease").recommend("10001", k=5)
    assert fitted.recommend("10001", k=5)["item_id"].tolist() == alone["item_id"].tolist()
    without_times = kp.open_log(events()[["user_id", "item_id"]])
    mixed = kp.fit(without_times, "mix", parts=["ease", "als", "markov"])
    assert "\nmarkov was left out of the mix: the log has no times" in repr(mixed)


def test_the_picture_goes_where_it_is_asked_to(result):
    ax = result.plot()
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == result.table()["model"].tolist()
    assert ax.get_title(loc="left") == "NDCG@5 with 95 % intervals"
    fig, (left, right) = plt.subplots(1, 2)
    assert result.plot(right, metric="map", k=3) is right
    assert right.figure is fig and not left.has_data()
    dots = right.collections[-1].get_offsets()[:, 0]
    assert dots.tolist() == result.table("map", 3)["map@3"].tolist()


def test_lists_of_a_comparison_measured_as_if_made_elsewhere(log, result):
    """The same lists and the same test part give the same means."""
    ids = result.split.train.interest
    top = result.lists["ease"]
    row, place = np.nonzero(top.items >= 0)
    lists = pd.DataFrame(
        {
            "user_id": ids.users[top.users[row]],
            "item_id": ids.items[top.items[row, place]],
            "rank": place + 1,
        }
    )
    user, item = result.split.test.nonzero()
    relevant = pd.DataFrame({"user_id": ids.users[user], "item_id": ids.items[item]})
    measured = kp.evaluate_lists(lists, relevant, ks=[3, 5], n_resamples=100)
    assert list(measured) == ["metric", "k", "mean", "low", "high", "users"]
    assert set(measured["users"]) == {len(result.split.users)}
    expected = result.summary.query("model == 'ease'").set_index(["metric", "k"])["mean"]
    means = measured.set_index(["metric", "k"])["mean"]
    pd.testing.assert_series_equal(means, expected.loc[means.index])


def test_positions_and_ids_agree(model):
    place = np.array([model.users.get_loc("10001")])
    seen = model.train.interest.values
    items = top_k(model.model, place, 2, exclude=seen).items[0]
    assert model.recommend("10001", k=2)["item_id"].tolist() == model.items[items].tolist()


@pytest.mark.parametrize(
    ("guess", "remedy"),
    [
        ("load", "open a log with kp.open_log(...)"),
        ("read", "open a log with kp.open_log(...)"),
        ("read_csv", "open a log with kp.open_log(...)"),
        ("recommend", 'fit a model first: kp.fit(log, "ease").recommend(user_id)'),
        ("train", 'fit a model with kp.fit(log, "ease")'),
        ("fit_model", 'fit a model with kp.fit(log, "ease")'),
        ("opn_log", f"it has {', '.join(kp.__all__)}. Did you mean: 'open_log'?"),  # by Python
        ("xyz", "it has Comparison, Fitted, Log, compare, evaluate_lists, figures, fit, open_log"),
    ],
)
def test_a_guessed_name_gets_the_right_call(guess, remedy):
    code = f"import kpay_lab as kp\nkp.{guess}('my.csv')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == f"AttributeError: kpay_lab has no {guess!r}; {remedy}"


def test_every_name_of_the_face_is_there():
    assert set(kp.__all__) <= set(dir(kp))
    assert all(getattr(kp, name) is getattr(workbench, name) for name in kp.__all__)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log, model: model.recommend("1000l"), "the log has no user '1000l'; did you mean"),
        (lambda log, model: model.recommend("?"), "user '?'; user ids look like '10"),
        (lambda log, model: model.recommend(10001), "ids are text: write '10001'"),
        (lambda log, model: model.recommend(np.int64(10001)), "ids are text: write '10001'"),
        (lambda log, model: model.recommend([3]), "user 3: positions are not ids; user ids look"),
        (lambda log, model: model.recommend(None), "user is a NoneType; ids are text such as"),
        (lambda log, model: model.recommend("10001", k=0), "k is 0; a list has"),
        (lambda log, model: model.recommend("10001", k=2.5), "k is 2.5; a list has"),
        (lambda log, model: model.recommend("10001", reviewed_only=True), "needs items.reviewed"),
        (lambda log, model: model.recommend_new(["Pyton 入门"]), "did you mean 'Python 入门'?"),
        (lambda log, model: model.recommend_new(["c11"]), "the log has no item 'c11'; did you"),
        (
            lambda log, model: model.recommend_new(["写作"]),
            "2 items have the title '写作'; name one",
        ),
        (lambda log, model: model.recommend_new([3]), "item 3: positions are not ids"),
        (lambda log, model: model.recommend_new("c1"), "history is 'c1'; write a list of item ids"),
        (lambda log, model: model.recommend_new(None), "history is None; write a list of item ids"),
        (lambda log, model: model.recommend_new({"c1": 7}), "interest in 'c1' is 7; it must be a"),
        (
            lambda log, model: model.recommend_new({"c1": "1"}),
            "interest in 'c1' is '1'; it must be",
        ),
        (
            lambda log, model: model.recommend_new({"c1": np.nan}),
            "interest in 'c1' is nan; it must",
        ),
        (lambda log, model: model.recommend_new(["c1"], k=0), "k is 0; a list has"),
        (lambda log, model: kp.fit(log, "markov").recommend_new(["c1"]), "Markov cannot score new"),
        (lambda log, model: kp.fit(log, "blend").recommend_new(["c1"]), "Blend: its part markov"),
        (lambda log, model: model.similar("Pyton 入门"), "did you mean 'Python 入门'?"),
        (lambda log, model: model.similar("写作"), "2 items have the title '写作'; name one by id"),
        (lambda log, model: model.similar(0), "item 0: positions are not ids"),
        (lambda log, model: model.similar("c1", k=-1), "k is -1; a list has"),
        (lambda log, model: kp.fit("my.csv", "ease"), "kp.fit(kp.open_log('my.csv'), 'ease')"),
        (lambda log, model: kp.fit(events(), "ease"), "kp.fit(kp.open_log(frame), 'ease')"),
        (lambda log, model: kp.fit("ease", log), "the log comes first: kp.fit(log, 'ease')"),
        (lambda log, model: kp.fit(log, "eas"), "did you mean 'ease'?"),
        (lambda log, model: kp.fit(log, "ease", rg=3), "no setting 'rg'; did you mean 'reg'?"),
        (lambda log, model: kp.compare("a.csv", ["als"]), "kp.compare(kp.open_log('a.csv'), ['als"),
        (lambda log, model: kp.compare(log, "als"), "write a list: kp.compare(log, ['als'])"),
        (lambda log, model: kp.compare(log, ["al"]), "did you mean 'als'?"),
        (
            lambda log, model: kp.compare(log, {"als": {"model": "ease"}}),
            "model als: the name has a meaning of its own and cannot stand for ease",
        ),
        (lambda log, model: kp.compare(log, ["mix"]), "model mix: parts are not named; write"),
        (lambda log, model: kp.compare(log, ["als"], n_trials=-1), "n_trials is -1; it must be a"),
        (lambda log, model: kp.compare(log, ["als"], n_trials=2.5), "n_trials is 2.5; it must be"),
        (lambda log, model: kp.compare(log, ["als"], ks=10), "ks is 10; write a list"),
        (lambda log, model: kp.compare(log, ["als"], ks=[0]), "ks is 0; a list has"),
        (lambda log, model: kp.compare(log, ["als"], split="tim"), "split 'tim' is unknown"),
        (lambda log, model: kp.open_log(dataset="my.csv"), "comes first: kp.open_log('my.csv')"),
        (lambda log, model: kp.open_log("movielens"), "kp.open_log(folder, dataset='movielens')"),
        (lambda log, model: kp.open_log("simulated"), "kp.open_log(dataset='simulated')"),
    ],
)
def test_a_wrong_first_guess_gets_the_right_call(log, model, call, message):
    with pytest.raises(ValueError) as raised:
        call(log, model)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


LISTS = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "rank": [1, 2]})
RELEVANT = pd.DataFrame({"user_id": ["u"], "item_id": ["b"]})


@pytest.mark.parametrize(
    ("lists", "relevant", "message"),
    [
        ({"u": ["a"]}, RELEVANT, "lists is a dict; it must be a frame with user_id, item_id, rank"),
        (LISTS.drop(columns="rank"), RELEVANT, "lists has no column rank; it has user_id, item_id"),
        (LISTS.head(0), RELEVANT, "lists has no rows"),
        (LISTS, RELEVANT.assign(item_id=None), "relevant has a missing value in row 0"),
        (LISTS.assign(user_id=7), RELEVANT, "user_id is 7 in lists and 'u' in relevant"),
        (LISTS, RELEVANT.assign(item_id=7), "item_id is 'a' in lists and 7 in relevant"),
        (LISTS.assign(user_id="v"), RELEVANT, "no user of relevant has a list"),
        (LISTS.assign(rank=[0, 1]), RELEVANT, "rank must be a whole number from 1 on"),
        (LISTS.assign(rank=1), RELEVANT, "the list of user 'u' has rank 1 twice"),
        (LISTS.assign(item_id="a"), RELEVANT, "the list of user 'u' has item_id 'a' twice"),
    ],
)
def test_lists_that_make_no_sense_are_refused(lists, relevant, message):
    with pytest.raises(ValueError) as raised:
        kp.evaluate_lists(lists, relevant, ks=[2])
    assert message in str(raised.value)


def test_a_log_of_marks_only_says_that_all_pairs_count_alike():
    views = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "like_count": [0, 1]})
    (note,) = kp.open_log(views).notes
    assert "like_count" in note and "binary" in note
    assert kp.open_log(views.assign(watch_time=9.0)).notes == ()
    assert kp.open_log(views.drop(columns="like_count")).notes == ()


def test_the_figures_of_a_log_that_is_not_opened_are_refused():
    with pytest.raises(ValueError, match=r"open the log first: kp\.figures\(kp\.open_log"):
        kp.figures("my.csv")
