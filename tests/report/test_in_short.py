"""The most important findings of a run, and how a terminal shows them."""

import json

import pytest

from kpay_lab.findings import Finding, catalogue, lacking
from kpay_lab.report.in_short import MOST, in_short, most_important, of_run, say, told


def repeated(n):
    values = {"table": "events", "n": n, "n_rows": 100, "share": n / 100}
    return Finding("quality/repeated", "watch", values)


@pytest.fixture
def run(tmp_path):
    """A run of two notebooks that found what is more and what is less important."""
    lacks = lacking("contact", "orders")
    by_notebook = {"01_a": [lacks, repeated(1), repeated(2)], "02_b": [repeated(3)]}
    content = {name: [one.as_dict() for one in found] for name, found in by_notebook.items()}
    (tmp_path / "findings.json").write_text(json.dumps(content))
    return tmp_path


def test_the_most_important_come_first_one_of_a_kind(run):
    shown, n_more = most_important(of_run(run))
    assert [(name, line.key) for name, line in shown] == [
        ("01_a", "lacking/table"),
        ("01_a", "quality/repeated"),
    ]
    assert n_more == 2
    assert "1 of 100 rows" in shown[1][1].sentence
    few, n_more = most_important(of_run(run), n=1)
    assert len(few) == 1 and n_more == 3


def test_what_is_lacking_stands_in_the_place_of_its_question():
    found = say([lacking(question, "orders") for question in ("refunds", "earnings", "experiment")])
    assert [line.order for line in found.lines] == [12, 20, 150]
    shown, _ = most_important({"04_model_comparison": found})
    assert len(shown) == 3


QUESTIONS = {
    "comparison/ship": "which recommender",
    "comparison/lead": "how sure",
    "comparison/earnings": "what it earns",
    "quality/summary": "what is wrong with the data",
    "experiment/profit": "whether the coupon paid",
    "experiment/blocked": "whether the coupon paid",
    "lacking/table": "what one of these would take",
}


def test_five_questions_come_first():
    first = set()
    for key, entry in catalogue().entries.items():
        orders = [wording.order or entry.order for wording in entry.wordings]
        if min(orders) <= 20:
            first.add(key)
    assert first == set(QUESTIONS)
    assert len(set(QUESTIONS.values())) <= MOST


@pytest.mark.parametrize("width", [30, 80])
def test_a_terminal_gets_lines_of_its_width(run, width):
    lines = told(run, width).splitlines()
    assert lines[0] == "In short:"
    assert lines[1].startswith("• What a contact is worth")
    assert lines[-1] == "and 2 more on the pages"
    assert max(map(len, lines)) <= width


def test_a_level_is_a_word_and_a_sign():
    found = [Finding("lacking/table", level, LACKING) for level in SIGNS]
    assert {line.level: (line.sign, line.word) for line in say(found).lines} == SIGNS


SIGNS = {
    "good": ("✓", "good"),
    "watch": ("!", "watch"),
    "bad": ("✗", "bad"),
    "plain": ("•", "note"),
}
LACKING = {"question": "contact", "table": "orders"}


def test_a_run_or_a_notebook_without_findings_says_nothing(tmp_path):
    (tmp_path / "findings.json").write_text("{}")
    assert told(tmp_path) == ""
    assert in_short(tmp_path / "01_a").lines == ()


@pytest.mark.parametrize("content", ['{"findings": 3}', "{}", '{"findings": [{"key": "a"}]}'])
def test_a_damaged_file_is_one_line(tmp_path, content):
    (tmp_path / "findings.json").write_text(content)
    with pytest.raises(ValueError, match=r"findings\.json holds no findings; the file is damaged"):
        in_short(tmp_path)
