"""The documents' programs: quoted to the letter, run, and stopped where they really stop."""

import ast

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.tables import TooLittleError
from kpay_lab.findings import sentence
from kpay_lab.interest.listings import (
    attempts_at_a,
    attempts_at_b,
    listing_findings,
    mended_purchase_model,
    numbered,
    printed_listing,
    purchase_rows,
    run_listing,
    run_with_repairs,
)
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.simulate import simulate


@pytest.mark.parametrize("document", ["A", "B"])
def test_a_printed_listing_is_a_program_that_reads_files(document):
    listing = printed_listing(document)
    ast.parse(listing)
    assert "read_csv('user_data.csv')" in listing
    assert "#" not in numbered(listing)


def test_it_runs_beside_its_files_and_leaves_the_generator_alone():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    program = "import numpy\nimport pandas\nframe = pandas.read_csv('a.csv')\n"
    program += "print(len(frame), numpy.random.randint(10**6))\n"
    files = {"a.csv": pd.DataFrame({"x": [1, 2]})}
    first = run_listing(program, files, seed=1)
    assert first.error == "" and first.line == 0
    assert first.printed.startswith("2 ")
    assert first == run_listing(program, files, seed=1) != run_listing(program, files, seed=2)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_the_line_is_the_program_s_own_however_deep_the_error():
    program = "import pandas\n\ndef read():\n    return pandas.read_csv('b.csv')\n\nread()\n"
    outcome = run_listing(program, {})
    assert outcome.line == 4
    assert outcome.error.startswith("FileNotFoundError: ")


def test_repairs_and_what_they_say():
    stops = "import pandas\nprint(1 / len(pandas.read_csv('a.csv')))\n"
    empty = {"a.csv": pd.DataFrame({"x": []})}
    filled = {"a.csv": pd.DataFrame({"x": [1, 2]})}
    of_A = run_with_repairs(stops, {"as printed": empty, "still empty": empty})
    of_B = run_with_repairs(stops, {"as printed": empty, "filled": filled})
    assert of_A["error"].tolist() == ["ZeroDivisionError: division by zero"] * 2
    assert of_B["printed"].tolist() == ["", "0.5"]
    (found,) = listing_findings(of_A, of_B, place="listing_a")
    assert found.values["runs_a"] is False and found.values["runs_b"] is True
    said = sentence(found)
    assert "A's at line 2 (ZeroDivisionError: division by zero), and still after 1 rep" in said
    assert "running after 1 rep" in said


def test_document_a_stops_on_its_own_tables_and_on_every_repair():
    found = run_with_repairs(printed_listing("A"), attempts_at_a())
    assert found["error"].tolist() == [
        "ValueError: invalid literal for int() with base 10: '无'",
        "KeyError: 'watch_time'",
        "ValueError: Found input variables with inconsistent numbers of samples: [4, 2]",
        "ValueError: could not convert string to float: 'u_2'",
        "ValueError: Incompatible dimension for X and Y matrices: "
        "X.shape[1] == 4 while Y.shape[1] == 7",
        "TypeError: list indices must be integers or slices, not numpy.float64",
    ]
    listing = printed_listing("A").splitlines()
    assert listing[found["line"].iloc[0] - 1].strip().startswith("data['comment_count']")
    assert listing[found["line"].iloc[-1] - 1].strip() == "content_counts[rec] += 1"


@pytest.fixture(scope="module")
def shop():
    return simulate(WorldSpec(n_users=300, n_items=60, n_days=30)).tables


def test_document_b_runs_after_four_repairs_and_praises_itself(shop):
    found = run_with_repairs(printed_listing("B"), attempts_at_b(shop))
    errors = found["error"].tolist()
    assert "inconsistent numbers of samples" in errors[0]
    assert "could not convert string to float" in errors[1]
    assert "Unknown label type" in errors[2]
    assert "could not convert string to float" in errors[3]
    assert errors[4] == ""
    accuracy = float(found["printed"].iloc[-1].rpartition("：")[2])
    assert accuracy == pytest.approx(1 - purchase_rows(shop)["purchase"].mean(), abs=0.02)


def test_the_mended_model_is_held_against_the_base_rate(shop):
    rows = purchase_rows(shop)
    assert len(rows) == len(shop.exposures)
    table, smaller = mended_purchase_model(rows, seed=0)
    early = rows["purchase"].iloc[: len(rows) * 4 // 5].mean()
    late = rows["purchase"].iloc[len(rows) * 4 // 5 :].mean()
    by_hand = -late * np.log(early) - (1 - late) * np.log(1 - early)
    assert table.loc["base rate", "log_loss"] == pytest.approx(by_hand)
    assert table.loc["base rate", "accuracy"] == pytest.approx(1 - late)
    losses = table["log_loss"]
    assert smaller.estimate == pytest.approx(losses["base rate"] - losses["forest, mended"])
    assert smaller.low < smaller.estimate < smaller.high
    with pytest.raises(TooLittleError, match="with a purchase"):
        mended_purchase_model(rows.assign(purchase=0), seed=0)
