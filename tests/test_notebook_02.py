"""Notebook 02 by running it: other weights are tried on a sample of many users."""

import json

from tests.running import notebook_run

NAME = "02_interest_matrix"


def test_of_many_users_a_sample_is_asked_about_the_weights_and_the_page_says_so(tmp_path):
    settings = ("--profile", "smoke", "--set", "max_users_reweighted=50")
    folder, metrics = notebook_run(NAME, tmp_path, *settings)
    assert metrics["users"] > 100  # the matrix is everybody's still
    content = json.loads((folder / NAME / "findings.json").read_text(encoding="utf-8"))
    found = {one["key"]: one["values"] for one in content["findings"]}
    assert found["interest/sample"]["n_asked"] == 50 < found["interest/sample"]["n_users"]
    assert found["interest/sample"]["n_pairs"] < metrics["pairs"]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["notebooks"][NAME]["record"]["users_reweighted"] == 50
