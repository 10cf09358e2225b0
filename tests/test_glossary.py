"""The glossary names code that is there, and terms that the documents use."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LINES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| 中文")
]
CODE = sorted({name for *_, code in LINES for name in re.findall(r"`(\w+(?:\.\w+)+)`", code)})


def test_every_line_is_whole():
    assert len(LINES) > 40
    for line in LINES:
        assert len(line) == 4 and all(line), line
        assert re.search("[一-鿿]", line[0]) and not re.search("[一-鿿]", line[1]), line
        assert "`" in line[3], line


@pytest.mark.parametrize("name", CODE)
def test_the_code_is_there(name):
    module, _, thing = f"kpay_lab.{name}".rpartition(".")
    assert getattr(importlib.import_module(module), thing).__module__.startswith("kpay_lab.")


def test_the_terms_are_the_documents_own():
    folder = ROOT / ".." / "shared" / "documents"
    if not folder.is_dir():
        pytest.skip("the documents are not at ../shared/documents")
    said = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.txt"))
    for chinese, *_ in LINES:
        for term in re.split("[、 ]", re.sub("（.*?）", "", chinese)):
            if re.search("[一-鿿]", term):
                assert term in said, term
