"""The first steps of both READMEs are the same, and they work as written."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.reading import read_tables

ROOT = Path(__file__).parents[1]
READMES = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")]


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def commands(text):
    """Every command of a README, without its comments."""
    lines = "".join(blocks(text, "sh")).splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip()]


@pytest.mark.parametrize("text", READMES, ids=["en", "zh"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_four_columns_are_read(tmp_path, text, encoding):
    path = tmp_path / "观看记录.csv"
    path.write_text(blocks(text, "csv")[0], encoding=encoding)
    for place in (path, tmp_path):  # the file itself, or the folder that holds it alone
        tables, rejected = read_tables(place)
        assert list(rejected.counts["good"]) == [2] and rejected.rows.empty
        assert tables.events["item_id"].tolist() == ["Python 入门", "摄影第一课"]
        assert tables.events["watch_time"].tolist() == [544.0, 20.0]
        assert tables.events["like_count"].tolist() == [1, 0]


def test_the_translation_gives_the_same_commands():
    english, chinese = map(commands, READMES)
    assert "kpay run --data my_log.csv --profile mine" in chinese and set(chinese) <= set(
        english
    ) | {"kpay recommend --data my_log.csv --model ease --k 10 -o lists.csv"}
    assert blocks(READMES[0], "cron") == blocks(READMES[1], "cron")
    (in_python,) = blocks(READMES[1], "python")
    assert in_python in blocks(READMES[0], "python")


@pytest.mark.parametrize("text", READMES, ids=["en", "zh"])
def test_the_lines_in_python_run_as_written(tmp_path, monkeypatch, text):
    """On a small log whose items are Chinese titles, beside lists made elsewhere."""
    (lines,) = [block for block in blocks(text, "python") if "import kpay_lab" in block]
    monkeypatch.chdir(tmp_path)
    titles = ["Python 入门", "摄影第一课", "数据分析", "写作", "理财", "瑜伽", "英语", "围棋"]
    rng = np.random.default_rng(0)
    rows = [(10001 + user, titles[item]) for user, item in np.argwhere(rng.random((60, 8)) < 0.5)]
    log = pd.DataFrame(rows, columns=["用户", "内容"]).assign(
        观看时长=rng.integers(5, 600, len(rows))
    )
    log.to_csv("my.csv", index=False)
    users = np.repeat(["u", "v"], 10)
    lists = pd.DataFrame(
        {"user_id": users, "item_id": [*"abcdefghij"] * 2, "rank": [*range(1, 11)] * 2}
    )
    relevant = pd.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "z"]})
    names = {"lists": lists, "relevant": relevant}
    for statement in ast.parse(lines).body:  # as a shell does, that shows what an expression gives
        code = ast.unparse(statement)
        names["shown"] = eval(code, names) if isinstance(statement, ast.Expr) else exec(code, names)
        if "recommend" in code:
            assert list(names["shown"]) == ["rank", "item_id", "title", "score", "why"]
            assert set(names["shown"]["item_id"]) <= set(titles)
        if "similar" in code:
            assert len(names["shown"]) == 5
    measured = names["shown"].set_index("metric")["mean"]
    assert measured["hit"] == 1 / 2
    assert measured["precision"] == (1 / 10 + 0) / 2


def test_links_lead_somewhere():
    for text in READMES:
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", text):
            if not target.startswith("http"):
                assert (ROOT / target).exists(), target
