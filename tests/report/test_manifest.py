"""A run's files as they are found years later: whole, damaged, or of another version."""

import json

import pytest

from kpay_lab.cli import main
from kpay_lab.report.manifest import Entry, Manifest
from kpay_lab.report.verify import read_finished


@pytest.fixture
def run(tmp_path):
    """A finished run of one notebook, as far as its two JSON files tell."""
    entries = {"01_a": Entry(source_sha256="0" * 64, status="ok")}
    manifest = Manifest(profile="p", parameters={"01_a": {}}, notebooks=entries, status="ok")
    manifest.write(tmp_path)
    (tmp_path / "metrics.json").write_text('{"01_a": {"users": 3}}')
    (tmp_path / "params.yaml").write_text("")
    return tmp_path


def damage(run, change):
    """Rewrite a run's manifest with some of its values, None for left out, replaced."""
    content = json.loads((run / "manifest.json").read_text()) | change
    left = {key: value for key, value in content.items() if value is not None}
    (run / "manifest.json").write_text(json.dumps(left))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "manifest.json line 1: it is not whole JSON"),
        (b'{\n"profile": "p', "manifest.json line 2: it is not whole JSON"),
        (b"[]", "manifest.json: it must be a JSON object"),
        (b"{}", "manifest.json lacks notebooks, parameters, profile"),
        (b'{"profile": "\xce\xd2"}', "manifest.json line 1: it is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "compare", "run --resume"])
def test_a_damaged_manifest_is_one_line(run, capsys, content, message, command):
    (run / "manifest.json").write_bytes(content)
    with pytest.raises(SystemExit) as raised:
        main([*command.split(), str(run), *([str(run)] if command == "compare" else [])])
    said = capsys.readouterr().err
    assert raised.value.code == 2
    assert said.startswith(f"kpay: {run}/{message}")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": None}, "manifest.json lacks parameters"),
        ({"parameters": []}, "manifest.json: parameters must be a mapping"),
        ({"parameters": {"01_a": 3}}, "manifest.json: parameters must be a mapping"),
        ({"parameters": {}}, "manifest.json: it has no parameters of 01_a"),
        ({"notebooks": {"01_a": {}}}, "manifest.json 01_a lacks source_sha256"),
        ({"notebooks": {"01_a": []}}, "manifest.json: notebooks must be a mapping"),
        ({"environment": []}, "manifest.json: environment must be a mapping"),
        ({"metrics": {}}, "manifest.json: metrics must be a list"),
        ({"weather": "fine"}, "manifest.json has weather, which this version"),
        ({"notebooks": {"01_a": {"source_sha256": "0", "mood": 1}}}, "json 01_a has mood, which"),
        ({"notebooks": {"01_a": {"source_sha256": "0", "record": []}}}, "01_a: record must be a"),
    ],
)
def test_what_a_manifest_lacks_or_has_too_much_is_named(run, change, message):
    damage(run, change)
    with pytest.raises(ValueError) as raised:
        Manifest.read(run)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_an_older_manifest_is_read_with_what_it_has(run):
    whole = Manifest.read(run)
    damage(run, {"seeds": None, "metrics": None, "outputs": None})
    assert Manifest.read(run) == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "metrics.json line 1: it is not whole JSON"),
        ("[]", "metrics.json: it must be a JSON object"),
        ('{"01_a": 3}', "metrics.json must be a mapping of mappings, and 01_a is not"),
        (None, "metrics.json: it cannot be read: No such file"),
    ],
)
def test_damaged_metrics_are_one_line(run, content, message):
    (run / "metrics.json").unlink()
    if content is not None:
        (run / "metrics.json").write_text(content)
    with pytest.raises(ValueError, match=f"^{run}/{message}"):
        read_finished(run)
