"""KuaiLive comes in by its profile alone, from files made by hand to its public description."""

import pandas as pd
import pytest
import yaml

from kpay_lab.live.sessions import live_sessions
from kpay_lab.workbench import open_log
from tests.live.kuailive import write_kuailive
from tests.running import ROOT
from tests.warm import run_warm

PROFILE = ROOT / "params" / "kuailive.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_kuailive(tmp_path_factory.mktemp("kuailive") / "KuaiLive")


@pytest.fixture(scope="module")
def files(folder):
    """The files as pandas reads them, ids as text."""
    ids = dict.fromkeys(("user_id", "live_id", "streamer_id"), "str")
    return {path.stem: pd.read_csv(path, dtype=ids) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def log(folder):
    return open_log(folder, mapping=PROFILE, min_events=100)


def moments(milliseconds):
    return pd.to_datetime(milliseconds, unit="ms", utc=True).astype("datetime64[us, UTC]")


def test_every_row_of_the_files_is_read(log, files):
    counts = log.rejected.counts.set_index("table")
    n_events = sum(len(files[name]) for name in ("click", "comment", "like", "gift"))
    assert counts["good"].to_dict() == {
        "users": len(files["user"]),
        "items": len(files["room"]),
        "events": n_events,
        "exposures": len(files["negative"]),
    }
    assert counts["rejected"].sum() == 0 and counts["cells"].sum() == 0
    assert log.time_zone == "Asia/Shanghai"


def test_visits_are_clicks_with_their_milliseconds(log, files):
    clicks = files["click"]
    events = log.tables.events
    watched = events[events["watch_time"].notna()]
    assert watched["user_id"].tolist() == clicks["user_id"].tolist()
    assert watched["item_id"].tolist() == clicks["live_id"].tolist()
    assert watched["timestamp"].tolist() == moments(clicks["timestamp"]).tolist()
    seconds = clicks["watch_live_time"] / 1000
    assert watched["watch_time"].tolist() == pytest.approx(seconds.tolist())


def test_comments_likes_and_gifts_are_what_their_files_say(log, files):
    events = log.tables.events
    for name, column in {"comment": "comment_count", "like": "like_count"}.items():
        done = events[events[column] > 0]
        assert done["timestamp"].tolist() == moments(files[name]["timestamp"]).tolist()
    gifts = events[events["gift_amount"].notna()]
    assert gifts["gift_amount"].tolist() == files["gift"]["gift_price"].tolist()
    assert gifts["user_id"].tolist() == files["gift"]["user_id"].tolist()
    assert log.tables.orders is None


def test_rooms_are_live_sessions_of_their_hosts(log, files):
    rooms = files["room"]
    items = log.tables.items
    assert (items["kind"] == "live").all()
    assert items["host"].tolist() == rooms["streamer_id"].tolist()
    assert items["category"].tolist() == rooms["live_content_category"].tolist()
    assert items["started_at"].tolist() == moments(rooms["start_timestamp"]).tolist()
    assert items["ended_at"].tolist() == moments(rooms["end_timestamp"]).tolist()


def test_ages_are_ranges_and_what_was_not_entered_says_nothing_of_clicks(log, files):
    assert log.tables.users["age_range"].tolist() == files["user"]["age"].tolist()
    shown = log.tables.exposures
    assert shown["item_id"].tolist() == files["negative"]["live_id"].tolist()
    assert shown.columns.tolist() == ["user_id", "item_id", "timestamp"]


def test_every_click_is_a_visit_of_a_session(log, files):
    live = live_sessions(log.tables)
    assert len(live.visits) == len(files["click"])
    assert live.n_outside == 0
    by_action = live.actions.groupby("action")["n"].sum()
    for action in ("comments", "likes", "gifts"):
        assert by_action[action] == len(files[action.removesuffix("s")])


def test_notebook_09_runs_on_it(folder, files, tmp_path):
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    asked = profile["shared"] | {"mapping": profile["mapping"], "data_dir": str(folder)}
    asked |= {"min_events": 100, "min_group": 3}
    found = run_warm("09_live_sessions", tmp_path, **asked)
    assert found.warned == [] and found.stderr == "" and found.not_applicable == ""
    assert found.metrics["visits"] == len(files["click"])
    assert found.metrics["gifts/givers"] == files["gift"]["user_id"].nunique()
    undefined = {key for key, value in found.metrics.items() if value is None}
    assert undefined == found.why.keys()
