"""The first steps of both READMEs are the same, and they work as written."""

import re
from pathlib import Path

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
    assert "kpay run --data my_log.csv" in chinese and set(chinese) <= set(english) | {
        "kpay recommend --data my_log.csv --model ease --k 10 -o lists.csv"
    }
    assert blocks(READMES[0], "cron") == blocks(READMES[1], "cron")


def test_links_lead_somewhere():
    for text in READMES:
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", text):
            if not target.startswith("http"):
                assert (ROOT / target).exists(), target
