"""The answers to the exercises: every notebook has some, and they run on smoke parameters."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).parents[1]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))


def smoke(name):
    """What the smoke profile says of a notebook, by parameter."""
    profile = yaml.safe_load((ROOT / "params" / "smoke.yaml").read_text(encoding="utf-8"))
    return profile["shared"] | profile.get(name, {})


def play(path, folder, **settings):
    """Run a notebook's code cells in this process and return its metrics."""
    space = {"display": lambda *_: None}
    for number, cell in enumerate(nbformat.read(path, 4).cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{path.name}, cell {number}", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            values = smoke(path.stem) | settings | {"output_dir": str(folder)}
            space |= {name: value for name, value in values.items() if name in space}
    saved = folder / f"{path.stem}_answers" / "metrics.json"
    return json.loads(saved.read_text(encoding="utf-8"))


def answers(number, folder, **settings):
    return play(next(p for p in SOLUTIONS if p.name.startswith(number)), folder, **settings)


def text_of(path):
    return "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")


def test_every_exercise_is_quoted_and_answered():
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [path.name for path in SOLUTIONS] == [path.name for path in notebooks]
    for asked, answered in zip(notebooks, SOLUTIONS, strict=True):
        exercises = text_of(asked).split("**Exercises.**")[1].strip().splitlines()
        answer = text_of(answered)
        for number, line in enumerate((line for line in exercises if line[:1].isdigit()), 1):
            assert f"> {line.partition('. ')[2]}" in answer, f"{answered.stem}: {line}"
            assert f"## Exercise {number}:" in answer
        assert answer.count("**What it teaches.**") == number


def test_cells_are_short():
    for path in SOLUTIONS:
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code" and not cell.metadata.get("tags"):
                assert len(cell.source.splitlines()) <= 12, f"{path.stem}\n{cell.source}"


def test_00_a_week_is_noisier_and_refunds_come_late(tmp_path):
    found = answers("00", tmp_path)
    assert found["width/week"] > found["width/long"]
    assert found["late_refunds"] > 0


def test_01_copies_are_found_and_a_week_has_its_control(tmp_path):
    found = answers("01", tmp_path)
    assert found["events_too_many"] > 0
    assert found["one_week/Gini"] > 0 and found["one_week/Gini_of_as_many_by_chance"] > 0


def test_02_an_empty_row_stays_empty(tmp_path):
    found = answers("02", tmp_path)
    assert found["most_changed"] != "dan" and found["dan_changes"] is False
    assert found["mean/half_life_7"] < found["mean/whole"]


@pytest.mark.slow
def test_03_nobody_can_read_a_gender_from_the_log(tmp_path):
    found = answers("03", tmp_path)
    agreements = [found[f"noise/{n:g}/agreement_of_halves"] for n in (0.5, 4.0)]
    assert agreements[0] > agreements[1]
    assert found["gender/random_forest/balanced_accuracy"] < 0.7


@pytest.mark.slow
def test_04_a_random_cut_learns_from_the_future(tmp_path):
    found = answers("04", tmp_path)
    assert 0 < found["learned_from_the_future"] < 1
    assert found["users/purchase"] < found["users/interest"] <= found["users/any"]


@pytest.mark.slow
def test_05_everybody_earns_nothing_at_break_even(tmp_path):
    found = answers("05", tmp_path)
    assert found["everybody/at_break_even"] == pytest.approx(0, abs=1e-6)
    assert found["noise/1/logistic_regression/way"] < 1


@pytest.mark.slow
def test_06_a_broken_plan_has_no_verdict_and_a_long_window_knows_fewer(tmp_path):
    found = answers("06", tmp_path)
    assert found["planned/0.5/passed"] is True and found["planned/0.1/passed"] is False
    known = [found[f"window/{days}/users"] for days in (1, 7)]
    assert known[0] > known[1]


@pytest.mark.slow
def test_08_a_bolder_policy_rests_on_fewer_slots(tmp_path):
    found = answers("08", tmp_path)
    assert found["temperature_0.3/ess"] < found["temperature_1.0/ess"]
    assert found["satisfaction/0% by chance"] > 0


def test_07_needs_a_negative_weight(tmp_path):
    found = answers("07", tmp_path, mu=0.3)
    # P_11 - P_12 = 0.8 - 0.3 and B_11 - B_12 = 30 - 20 seconds
    assert found["w3_for_each_w1"] == pytest.approx(-(0.8 - 0.3) / (30 - 20))
    assert found["turned"] is True
    # 0.5 + 0.3 = 0.8: u_1, v_1 by the identity; all cells printed 0.8 by all ones
    assert (found["saved/eye"], found["saved/ones"]) == (1, 2)
    assert np.isclose(found["needed_mean/ones"], (0.8 + 0.3) / 2 - 0.3)
