"""What a session writes, and what it refuses."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from kpay_lab.findings import Finding, lacking
from kpay_lab.report.in_short import in_short
from kpay_lab.report.session import NotApplicable, Session


def test_equal_results_are_equal_bytes(tmp_path):
    keys = ["b/ndcg@10", "a", "c", "d", "e"]
    values = [0.1 + 0.2, np.int64(3), True, "文", float("nan")]
    for folder, order in (("one", range(5)), ("two", reversed(range(5)))):
        session = Session("01_x", output_dir=str(tmp_path / folder))
        for position in order:
            session.metric(keys[position], values[position])
        session.save()
    written = (tmp_path / "one/01_x/metrics.json").read_bytes()
    assert written == (tmp_path / "two/01_x/metrics.json").read_bytes()
    assert json.loads(written) == {
        "a": 3, "b/ndcg@10": 0.1 + 0.2, "c": True, "d": "文", "e": None,
    }  # fmt: skip


def test_a_metric_that_is_not_defined_says_why(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    for key, value in {"nan": float("nan"), "none": None, "zero": 0.0}.items():
        session.metric(key, value, why=f"no {key}")
    session.save()
    notes = json.loads((tmp_path / "01_x/session.json").read_text())
    assert notes["why"] == {"nan": "no nan", "none": "no none"}
    assert json.loads((tmp_path / "01_x/metrics.json").read_text())["zero"] == 0.0


def test_a_notebook_that_its_data_cannot_feed_saves_and_ends(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    session.metric("users", 1)
    with pytest.raises(NotApplicable, match="one user"):
        session.not_applicable("There is one user.")
    assert json.loads((tmp_path / "01_x/metrics.json").read_text()) == {"users": 1}


@pytest.mark.parametrize("value", [float("inf"), [1, 2], object(), np.array([1.0])])
def test_metric_refuses_what_is_no_finite_scalar(tmp_path, value):
    with pytest.raises(ValueError, match="metric 'm' is"):
        Session("01_x", output_dir=str(tmp_path)).metric("m", value)


def test_each_name_once(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    session.metric("m", 1)
    session.table("t", pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="'m' was recorded before"):
        session.metric("m", 1)
    with pytest.raises(ValueError, match=r"tables/t\.csv was recorded before"):
        session.table("t.csv", pd.DataFrame({"a": [1]}))
    with pytest.raises(ValueError, match="may hold letters"):
        session.table("../t", pd.DataFrame())


def test_only_an_interactive_folder_is_overwritten(tmp_path):
    for folder, fails in (("interactive", False), ("run", True)):
        Session("01_x", output_dir=str(tmp_path / folder)).save()
        again = Session("01_x", output_dir=str(tmp_path / folder))
        again.metric("second", True)
        if fails:
            with pytest.raises(FileExistsError, match="only outputs/interactive"):
                again.save()
        else:
            again.save()
            assert "second" in (tmp_path / folder / "01_x/metrics.json").read_text()
        assert [path.name for path in (tmp_path / folder).iterdir()] == ["01_x"]


def test_csv_is_inert_in_a_spreadsheet(tmp_path):
    hostile = ["=cmd()", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "-3", "plain", None]
    session = Session("01_x", output_dir=str(tmp_path))
    frame = pd.DataFrame({"=head": hostile, "n": -1.5}, index=pd.Index(hostile, name="key"))
    assert session.table("t", frame) is frame
    session.save()
    back = pd.read_csv(tmp_path / "01_x/tables/t.csv")
    inert = ["'=cmd()", "'+1+1", "'-2+3", "'@SUM(A1)", "'\t=1", "-3", "plain"]
    assert back["'=head"].dropna().to_list() == inert == back["key"].dropna().to_list()
    assert (back["n"] == -1.5).all()


def test_parquet_is_for_machines_and_not_shown(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    frame = pd.DataFrame({"user_id": ["=u"]})
    assert session.table("recommendations.parquet", frame) is None
    session.save()
    back = pd.read_parquet(tmp_path / "01_x/tables/recommendations.parquet")
    assert back["user_id"].to_list() == ["=u"]


def test_figure_is_drawn_once_closed_and_shown_as_its_file(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    fig, axes = plt.subplots()
    axes.plot([1, 2])
    picture = session.figure("line", fig, headline="A line")
    assert not plt.fignum_exists(fig.number)
    session.save()
    assert (tmp_path / "01_x/figures/line.png").read_bytes() == picture.data
    assert picture.data.startswith(b"\x89PNG")
    assert picture.alt == "A line"


def test_rejected_rows_are_there_without_save(tmp_path):
    for line in (2, 3):
        path = Session("01_x", output_dir=str(tmp_path)).rejected(pd.DataFrame({"line": [line]}))
    assert path == tmp_path / "rejected/01_x.csv"
    assert path.read_text() == "line\n3\n"


def test_what_results_rest_on_is_raised_and_not_asserted(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    session.require(True, "one row a user")
    with pytest.raises(RuntimeError, match="this must hold and does not: one row a user"):
        session.require(False, "one row a user")


FOUND = [lacking("experiment", "exposures"), lacking("earnings", "orders")]


def test_findings_lie_beside_the_metrics_and_are_equal_bytes(tmp_path):
    for folder in ("one", "two"):
        session = Session("01_x", output_dir=str(tmp_path / folder))
        said = session.findings(FOUND)
        assert str(said) == str(session.in_short())
        session.save()
    written = (tmp_path / "one/01_x/findings.json").read_bytes()
    assert written == (tmp_path / "two/01_x/findings.json").read_bytes()
    assert json.loads(written)["findings"] == [finding.as_dict() for finding in FOUND]
    assert in_short(tmp_path / "one/01_x") == said
    Session("02_y", output_dir=str(tmp_path / "one")).save()
    assert in_short(tmp_path / "one/02_y").lines == ()


def test_a_finding_is_recorded_once_and_has_words(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    session.findings(FOUND)
    with pytest.raises(ValueError, match="'lacking/table' was recorded before"):
        session.findings(FOUND[:1])
    with pytest.raises(ValueError, match="'no/words' has no words"):
        session.findings([Finding("no/words", "plain", {})])
    assert len(session.in_short().lines) == 2


def test_a_sentence_shows_itself_and_runs_nothing():
    said = Session("01_x").findings([lacking("earnings", "<script>")])
    assert "&lt;script&gt;" in said._repr_html_() and "<script>" not in said._repr_html_()
    assert "list-style: none" in said._repr_html_()  # the sign of a finding is its bullet
    assert "<script>" in str(said)


def test_a_frame_is_recorded_cell_by_cell(tmp_path):
    session = Session("01_x", output_dir=str(tmp_path))
    rows = pd.MultiIndex.from_tuples([("als", "ndcg@10"), ("als", "map@10")])
    frame = pd.DataFrame({"mean": [0.5, float("nan")], "low": [0.25, 1]}, rows)
    session.record_frame(frame, value="mean", why="nobody")
    assert session.metrics == {
        "als/ndcg@10": 0.5, "als/ndcg@10/low": 0.25, "als/map@10": None, "als/map@10/low": 1.0,
    }  # fmt: skip
    assert session.why == {"als/map@10": "nobody"}
