"""Tables as people read them: no row numbers, one row of heads, numbers by their kind."""

import re

import pandas as pd
import pytest

from kpay_lab.report.session import Session
from kpay_lab.report.tables import shown, shown_styler, to_html


def heads(table: str) -> list[str]:
    return re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table)


def rows(table: str) -> list[list[str]]:
    """Return the texts of the body's cells, row by row."""
    body = table.partition("<tbody>")[2]
    return [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)
    ]


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "model": ["ease", "<b>"],
            "n_users": [12345, 7],
            "ndcg": [0.123456, float("nan")],
            "revenue": [1234.5, -5261.0],
            "click_rate": [0.419, 0.05],
            "p_holm": [0.0123, 4.8e-10],
            "accepted": [True, False],
        }
    )


def test_row_numbers_are_not_shown(frame):
    shuffled = frame.iloc[::-1]
    for table in (frame, shuffled):
        assert heads(to_html(table))[0] == "model"
        assert "<th scope='row'" not in to_html(table)


def test_named_rows_are_a_column_of_their_own(frame):
    table = to_html(frame.set_index("model"))
    assert heads(table)[0] == "model"
    assert rows(table)[0][0] == "ease"
    assert '<th scope="row"' in table


def test_the_name_of_the_column_axis_makes_no_second_row_of_heads(frame):
    pivoted = pd.DataFrame({"ndcg": [0.5], "map": [0.25]}, pd.Index(["ease"], name="model"))
    table = to_html(pivoted.rename_axis(columns="metric"))
    assert heads(table) == ["model", "NDCG", "MAP"]
    assert table.count("<tr>") == 2


def test_numbers_as_heads_keep_the_name_of_their_axis():
    cohorts = pd.DataFrame({0: [1.0], 1: [0.5]}, pd.Index(["2024-01"], name="cohort"))
    assert heads(to_html(cohorts.rename_axis(columns="week"))) == ["cohort ↓ week →", "0", "1"]


def test_each_number_is_written_by_its_kind(frame):
    first, second = rows(to_html(frame))
    assert first == ["ease", "12,345", "0.123", "1,234.50", "41.9 %", "0.012", "yes"]
    assert second == ["&lt;b&gt;", "7", "–", "−5,261.00", "5 %", "&lt; 0.0001", "no"]


def test_text_stands_left_and_numbers_right(frame):
    table = to_html(frame)
    sides = re.findall(r'<th scope="col" class="(\w+)" style="text-align: (\w+)"', table)
    assert sides[0] == ("words", "left")
    assert sides[1:6] == [("number", "right")] * 5
    assert sides[6] == ("words", "left")


def test_it_is_sorted_by_more_than_it_shows(frame):
    assert 'data-sort="0.123456"' in to_html(frame)


def test_a_p_value_at_its_floor_says_so():
    frame = pd.DataFrame({"p": [0.01, 0.01], "is_smallest": [True, False]})
    table = to_html(frame)
    assert heads(table) == ["p"]
    assert rows(table) == [["≤ 0.01"], ["0.01"]]


def test_the_ends_of_an_interval_are_written_as_what_they_bound():
    frame = pd.DataFrame({"n": [60], "rate": [0.457], "low": [0.444], "high": [0.475]})
    assert rows(to_html(frame)) == [["60", "45.7 %", "44.4 %", "47.5 %"]]


def test_kinds_that_are_given_decide(frame, tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    kept = session.table("t", frame, kinds={"ndcg": "share"}, missing="hidden")
    assert [row[2] for row in rows(to_html(kept.head(5)))] == ["12.3 %", "hidden"]


def test_a_kind_that_is_unknown_or_of_no_column_is_refused(frame, tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    with pytest.raises(ValueError, match="column 'ndgc', which the table lacks"):
        session.table("t", frame, kinds={"ndgc": "share"})
    with pytest.raises(ValueError, match="kind of 'ndcg' is 'percent'; it must be one of money"):
        session.table("t", frame, kinds={"ndcg": "percent"})


def test_a_part_of_a_kept_table_still_knows_the_whole(frame, tmp_path):
    Session("01_x", output_dir=str(tmp_path)).table("t.csv", frame)
    _, about = shown(frame.head(1).drop(columns="model"))
    assert about == {"table": "t", "rows": 2, "shown": 1}


def test_a_long_table_is_shown_in_part_and_says_of_how_many():
    html, about = shown(pd.DataFrame({"n": range(1000)}))
    assert len(rows(html)) == about["shown"] == 60
    assert about["rows"] == 1000


def test_what_a_styler_hides_stays_hidden(frame):
    styler = frame.set_index("model").style.hide(axis="index").hide(["p_holm"], axis="columns")
    html, _ = shown_styler(styler)
    assert heads(html) == ["users", "NDCG", "revenue", "click rate", "accepted"]


def test_missing_values_of_every_type_are_a_dash():
    frame = pd.DataFrame({"when": [pd.NaT], "how_many": pd.array([pd.NA], "Int64"), "what": [None]})
    frame["click_rate"] = pd.array([pd.NA], "Float64")
    assert rows(to_html(frame)) == [["–"] * 4]


@pytest.mark.parametrize("value", [float("inf"), 1 + 2j, pd.Timedelta("90min"), b"x", {"a": 1}])
def test_no_value_breaks_a_table(value):
    assert len(rows(to_html(pd.DataFrame({"odd": [value], "share": [0.5]})))) == 1


def test_in_a_notebook_frames_and_stylers_show_so(tmp_path):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        Session("01_x", output_dir=str(tmp_path))
        frame = pd.DataFrame({"n_users": [1234]})
        for one in (frame, frame.style):
            data, metadata = shell.display_formatter.format(one)
            assert ">1,234<" in data["text/html"]
            assert metadata["text/html"]["rows"] == 1
    finally:
        InteractiveShell.clear_instance()
