"""The documents' programs: quoted to the letter, run, and stopped where they really stop."""

import ast

import numpy as np
import pandas as pd
import pytest

from kpay_lab.findings import sentence
from kpay_lab.interest.listings import (
    listing_findings,
    numbered,
    printed_listing,
    run_listing,
    run_with_repairs,
)


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
