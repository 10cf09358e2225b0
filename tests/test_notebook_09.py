"""Notebook 09 by running it: an evening exported in Chinese, and logs that hold no session."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.live.evening import ROOMS, WORDS, slow_viewers, write_evening
from tests.odd_logs import LOGS, write
from tests.running import ROOT
from tests.warm import run_warm

NAME = "09_live_sessions"
PROFILE = ROOT / "params" / "live-evening.yaml"


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    """The folder of the four files, and what the notebook made of them by the profile alone."""
    folder = write_evening(tmp_path_factory.mktemp("evening") / "导出")
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    asked = profile["shared"] | {"mapping": profile["mapping"], "data_dir": str(folder)}
    return folder, run_warm(NAME, tmp_path_factory.mktemp("out"), **asked, min_group=3)


def test_an_evening_exported_in_chinese_makes_a_page(evening):
    _, found = evening
    assert found.warned == [] and found.stderr == "" and found.not_applicable == ""
    assert found.metrics["sessions"] == 2
    assert "零基础学 Python, 2026-03-06 20:00 (Asia/Shanghai)" in found.printed
    undefined = {key for key, value in found.metrics.items() if value is None}
    assert undefined == found.why.keys()


def test_its_concurrency_is_that_of_a_slow_count(evening):
    folder, found = evening
    viewers = slow_viewers(folder, "R801")
    assert found.metrics["peak_viewers"] == max(viewers)
    assert found.metrics["mean_viewers"] == pytest.approx(np.mean(viewers))
    minutes = pd.read_csv(found.folder / "tables" / "minutes_of_session.csv")
    is_told = minutes["viewers"].notna()
    assert is_told.sum() > 60
    assert minutes["viewers"][is_told].tolist() == np.array(viewers)[is_told].tolist()


def test_its_entries_comments_and_money_are_those_of_the_files(evening):
    folder, found = evening
    clicks, comments, orders = (
        pd.read_csv(folder / f"{name}.csv", encoding="gb18030") for name in ("点击", "评论", "订单")
    )
    assert found.metrics["visits"] == len(clicks)
    assert found.metrics["people"] == clicks["用户ID"].nunique()
    taking_part = pd.read_csv(found.folder / "tables" / "taking_part.csv").set_index("action")
    assert taking_part.loc["comments", "times"] == len(comments)
    assert taking_part.loc["comments", "people"] == comments["用户ID"].nunique()
    paths = pd.read_csv(found.folder / "tables" / "paths.csv").set_index("path")
    paid = orders["实付金额"].str.extract(r"(\d+)")[0].astype(float).sum()
    assert paths["gmv_last"].to_dict() == {"live → course": paid}
    assert paths["gmv_first"].to_dict() == {"live → course": paid}


def test_nobody_is_named_and_no_comment_is_quoted(evening):
    _, found = evening
    texts = [path.read_text(encoding="utf-8") for path in (found.folder / "tables").iterdir()]
    for text in (*texts, found.printed, str(found.metrics)):
        assert not re.search(r"wx_\d{4}", text)
        assert not any(words in text for words in WORDS)
    assert all(title in found.printed for title, *_ in ROOMS.values())


def test_minutes_of_few_people_are_hidden(evening):
    _, found = evening
    minutes = pd.read_csv(found.folder / "tables" / "minutes_of_session.csv")
    told = minutes.dropna(subset="viewers")
    assert len(told) < len(minutes) and (told["people"] >= 3).all()


def test_another_session_can_be_chosen(evening, tmp_path):
    folder, _ = evening
    profile = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
    asked = profile["shared"] | {"mapping": profile["mapping"], "data_dir": str(folder)}
    found = run_warm(NAME, tmp_path, **asked, live_session="R802", min_group=3)
    assert found.metrics["peak_viewers"] == max(slow_viewers(folder, "R802"))
    wrong = run_warm(NAME, tmp_path / "wrong", **asked, live_session="R999")
    assert "nobody entered a session 'R999' while it was live; try R801" in wrong.not_applicable


def test_a_log_without_sessions_says_what_it_would_take(tmp_path):
    tables = LOGS["ordinary_shop"]()
    items = pd.DataFrame({"item_id": tables.ids("item_id"), "kind": "course"})
    folder = write(type(tables)(tables.events, items, orders=tables.orders), tmp_path / "shop")
    asked = {"dataset": "tables", "data_dir": str(folder), "min_events": 1}
    found = run_warm(NAME, tmp_path, **asked)
    assert "it would take the column started_at" in found.not_applicable
