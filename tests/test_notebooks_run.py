"""The foundation's notebooks as a user runs them: `kpay run` on the smoke profile."""

import json
import re

import pytest

from kpay_lab.interest.ledger import worked_ledger
from tests.running import ROOT, kpay_run

EVERY = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = ("01_data_exploration", "02_interest_matrix", "07_case_study")


@pytest.fixture(scope="module")
def smoke(smoke_run):
    return {name: smoke_run(name) for name in NOTEBOOKS}


@pytest.fixture(scope="module")
def metrics(smoke):
    return {name: found for name, (_, found) in smoke.items()}


def test_the_ledger_reaches_the_metrics(metrics):
    case = metrics["07_case_study"]
    assert [case[f"R/u_{i}/v_{j}"] for i in (1, 2) for j in (1, 2)] == [0.32, 0.62, 0.20, 0.38]
    assert case["S/u_1/v_1"] == 6.55
    verdicts = worked_ledger()["verdict"].value_counts()
    for verdict, count in verdicts.items():
        assert case[f"ledger/{verdict}"] == count
    assert case["C/labels_reproduced"] is True
    assert case["accuracy_of_saying_no"] == pytest.approx(1 - case["purchase_rate"])


def test_the_log_is_described(metrics):
    found = metrics["01_data_exploration"]
    assert found["users/rows"] < 200  # some of the 200 did not consent
    assert found["events/rows"] > 1000
    assert 0 < found["items/gini"] < 1
    assert found["events/duplicates"] == found["repairs/deduplicate/would_change"] == 0


def test_the_matrix_is_what_the_log_supports(metrics):
    found = metrics["02_interest_matrix"]
    by_hand = (0.5 * 90 / 100 + 0.2 * 1 / 2 + 0.1 * 1 / 2) / (0.5 + 0.2 + 0.1)
    assert found["tiny/ann/python"] == pytest.approx(by_hand, rel=1e-12)
    assert found["density"] == pytest.approx(found["pairs"] / (found["users"] * found["items"]))
    assert 0 < found["interest/mean"] < found["interest/max"] <= 1


def test_pages_stand_alone_and_say_nothing_of_anyone(smoke):
    pages = [folder / f"{name}.html" for name, (folder, _) in smoke.items()]
    for path in (*pages, *(folder / "index.html" for folder, _ in smoke.values())):
        page = path.read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)
        assert not re.search(r"\bu0\d{4}\b", page), "a simulated user id is on the page"
        text = re.sub(r"<(script|style|svg|code|pre).*?</\1>", "", page, flags=re.S)
        assert not re.search(r"\$[^$<]{1,80}\$", text), "a formula was not drawn"


@pytest.mark.parametrize("name", EVERY)
def test_no_warning_reaches_a_page_and_every_null_has_its_reason(smoke_run, name):
    folder, found = smoke_run(name)
    executed = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    undefined = {key for key, value in found.items() if value is None}
    assert undefined == manifest["notebooks"][name]["why"].keys()


def test_the_manifest_tells_what_ran(smoke):
    for folder, _ in smoke.values():
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert [entry["status"] for entry in manifest["notebooks"].values()] == ["ok"]
        assert manifest["environment"]["packages"]["pandas"].startswith("3.")


def test_the_same_parameters_give_the_same_bytes(smoke, tmp_path):
    once, (again, _) = (
        smoke[NOTEBOOKS[1]][0],
        kpay_run(tmp_path, NOTEBOOKS[1], "--profile", "smoke"),
    )
    ours, theirs = (folder / NOTEBOOKS[1] / "metrics.json" for folder in (once, again))
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_a_whole_profile_twice_gives_the_same_bytes(tmp_path):
    one, two = (kpay_run(tmp_path / name, "--profile", "smoke")[1] for name in ("one", "two"))
    assert one == two


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("movielens-100k", "ml-100k"),
        ("mooccubex", "mooccubex-gear"),
        ("kuairand", "kuairand27k-feedback"),
    ],
)
def test_public_logs_become_reports(real_data, tmp_path, profile, name):
    chosen = ("--profile", profile, "--data", str(real_data(name)))
    _, found = kpay_run(tmp_path, *NOTEBOOKS[:2], *chosen)
    assert found["02_interest_matrix"]["pairs"] <= found["01_data_exploration"]["events/rows"]
