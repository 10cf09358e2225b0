"""`kpay recommend`: lists for a whole log as a file, or one clear line."""

import numpy as np
import pandas as pd
import pytest

from kpay_lab.cli import main
from kpay_lab.data.writing import write_tables
from kpay_lab.recommend.lists import COLD

COLUMNS = ["user_id", "rank", "item_id", "title", "score", "why"]


@pytest.fixture(scope="module")
def log(small_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    write_tables(small_world[0], folder)
    return folder


@pytest.fixture
def recommend(capsys):
    def call(*arguments):
        try:
            main(["recommend", *(str(argument) for argument in arguments)])
            code = 0
        except SystemExit as error:
            code = error.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize("model", ["ease", "als", "content", "popularity"])
def test_lists_are_complete_and_new_to_the_user(log, recommend, tmp_path, small_world, model):
    output = tmp_path / "lists.parquet"
    assert recommend("--data", log, "--model", model, "--k", 4, "-o", output)[0] == 0
    lists = pd.read_parquet(output)
    assert list(lists) == COLUMNS
    tables, _ = small_world
    agreed = tables.users.loc[tables.users["consent"].fillna(False).astype(bool), "user_id"]
    assert set(lists["user_id"]) == set(agreed)
    for _, own in lists.groupby("user_id"):
        assert own["rank"].tolist() == list(range(1, len(own) + 1)) and len(own) <= 4
        assert own["item_id"].is_unique
        assert (np.diff(own["score"]) <= 0).all()
    met = pd.MultiIndex.from_frame(tables.events[["user_id", "item_id"]])
    assert not pd.MultiIndex.from_frame(lists[["user_id", "item_id"]]).isin(met).any()
    priced = tables.items.loc[tables.items["price"].notna(), "kind"].unique()
    kinds = lists["item_id"].map(tables.items.set_index("item_id")["kind"])
    assert set(kinds) <= set(priced)
    assert (lists["why"] != "").mean() > 0.9


def test_kinds_without_a_price_are_listed_on_request(log, recommend, tmp_path, small_world):
    output = tmp_path / "lists.csv"
    said = recommend("--data", log, "--model", "popularity", "--kind", "live", "-o", output)
    assert said[0] == 0
    kinds = small_world[0].items.set_index("item_id")["kind"]
    assert set(pd.read_csv(output, dtype=str)["item_id"].map(kinds)) == {"live"}


def test_what_is_live_at_a_moment_is_listed_on_request(recommend, tmp_path, small_world):
    events = small_world[0].events
    start = events["timestamp"].min().floor("D")
    live, over, met = events["item_id"].drop_duplicates().iloc[[0, 1, 2]]
    items = pd.DataFrame({"item_id": [live, over, met]})
    hours = {"started_at": [20, 18, 21], "ended_at": [22, 20, 23]}  # asked at 20:00
    for name, times in hours.items():
        items[name] = start + pd.to_timedelta(times, unit="h")
    log = tmp_path / "log"
    log.mkdir()
    events[events["item_id"].isin(items["item_id"])].to_csv(log / "events.csv", index=False)
    items.to_csv(log / "items.csv", index=False)
    output = tmp_path / "lists.csv"
    asked = (start + pd.Timedelta(hours=20)).isoformat()
    code, _, said = recommend(
        "--data", log, "--model", "popularity", "--live-at", asked, "-o", output
    )
    assert code == 0, said
    assert set(pd.read_csv(output, dtype=str)["item_id"]) == {live}
    code, _, said = recommend("--data", log, "--live-at", "soon", "-o", output)
    assert code == 2 and "--live-at is 'soon'; it must be an ISO time" in said


def test_a_cold_user_gets_the_most_popular_items(log, recommend, tmp_path, small_world):
    output = tmp_path / "lists.csv"
    assert recommend("--data", log, "--k", 2, "-o", output)[0] == 0
    lists = pd.read_csv(output, dtype=str)
    tables, _ = small_world
    cold = set(lists["user_id"]) - set(tables.events["user_id"])
    assert cold, "the world needs a user without events for this test"
    assert set(lists.loc[lists["user_id"].isin(cold), "why"]) == {COLD}
    assert lists.loc[lists["user_id"].isin(cold), "item_id"].nunique() == 2


def test_csv_and_parquet_say_the_same(log, recommend, tmp_path):
    for name in ("lists.csv", "lists.parquet"):
        assert recommend("--data", log, "--k", 2, "-o", tmp_path / name)[0] == 0
    csv = pd.read_csv(tmp_path / "lists.csv", dtype={"user_id": str, "item_id": str})
    parquet = pd.read_parquet(tmp_path / "lists.parquet")
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False)


def test_settings_reach_the_model(log, recommend, tmp_path):
    """The heavier EASE is held back, the smaller its weights and so its scores."""
    best = []
    for reg in (1, 1000):
        output = tmp_path / f"{reg}.parquet"
        recommend("--data", log, "--set", f"reg={reg}", "-o", output)
        lists = pd.read_parquet(output)
        best.append(lists.loc[lists["why"] != COLD, "score"].max())
    assert best[0] > 2 * best[1]


def test_a_mix_and_a_name_of_ones_own(log, recommend, tmp_path):
    """With all weight on one part the mix lists what that part lists."""
    arguments = {
        "mix.csv": ["--model", "mix", "--set", "parts=[ease, als]", "--set", "weights=[1, 0]"],
        "ease.csv": ["--model", "ease"],
        "named.csv": ["--model", "ease_400", "--set", "model=ease", "--set", "reg=400"],
    }
    items = {}
    for name, chosen in arguments.items():
        assert recommend("--data", log, *chosen, "-o", tmp_path / name)[0] == 0
        items[name] = pd.read_csv(tmp_path / name)["item_id"].tolist()
    assert items["mix.csv"] == items["ease.csv"] == items["named.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mix"], "model mix: parts are not named; write names of models"),
        (["--model", "eas"], "model 'eas' is unknown; choose one of random, popularity"),
        (["--set", "rg=3"], "model ease has no setting 'rg'; did you mean 'reg'?"),
        (["--set", "reg=much"], "reg is 'much'; it must be a number"),
        (["--set", "reg"], "--set reg: write key=value"),
        (["--k", "0"], "0 is not in the range"),
        (["--dataset", "films"], "dataset is 'films'"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(log, recommend, tmp_path, arguments, message):
    output = tmp_path / "lists.csv"
    code, _, err = recommend("--data", log, *arguments, "-o", output)
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err
    assert not output.exists()


def test_the_ending_and_the_folder_are_checked(log, recommend, tmp_path):
    code, _, err = recommend("--data", log, "-o", tmp_path / "lists.txt")
    assert (code, err.count("\n")) == (2, 1) and "must end in .csv or .parquet" in err
    code, _, err = recommend("--data", tmp_path / "nowhere", "-o", tmp_path / "lists.csv")
    assert code == 2 and "does not exist" in err
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, err = recommend("--data", empty, "-o", tmp_path / "lists.csv")
    assert code == 2 and "holds no events" in err
    assert not (tmp_path / "lists.csv").exists()


def test_a_failed_write_leaves_the_old_file(log, recommend, tmp_path, monkeypatch):
    output = tmp_path / "lists.csv"
    output.write_text("old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    code, _, err = recommend("--data", log, "-o", output)
    assert code == 1 and "No space left" in err
    assert [path.name for path in tmp_path.iterdir()] == ["lists.csv"]
    assert output.read_text() == "old"


def test_only_trusted_content_is_listed_under_pseudonyms(log, recommend, tmp_path, small_world):
    output = tmp_path / "lists.parquet"
    only = ("--reviewed-only", "--verified-only", "--min-rating", 3, "--ids", "pseudonymise")
    assert recommend("--data", log, "--k", 3, *only, "-o", output)[0] == 0
    lists, tables = pd.read_parquet(output), small_world[0]
    assert lists["user_id"].str.fullmatch("p[0-9a-f]{32}").all()
    marks = tables.items.set_index("item_id")[["reviewed", "author_verified"]]
    assert marks.loc[lists["item_id"]].all(axis=None) and not marks.all(axis=None)
    ratings = tables.events.groupby("item_id")["rating"].mean()
    assert not (ratings.reindex(lists["item_id"]) < 3).any()
