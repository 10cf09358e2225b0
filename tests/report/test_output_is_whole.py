"""What a notebook prints arrives whole, however much and however fast."""

import nbformat
import pytest

from kpay_lab.report.manifest import Manifest
from kpay_lab.report.runner import Limits

FLUSHED = """
import sys
for number in range(10_000):
    sys.stdout.write(f"{number:0100}")
    sys.stdout.flush()
"""
BOTH_STREAMS = """
import sys
for number in range(3_000):
    print(f"{number:050}", flush=True)
    print(f"{number:050}", file=sys.stderr, flush=True)
"""
DISPLAYED = """
from IPython.display import display
for number in range(3_000):
    display(number)
"""


def executed(project, cell):
    """Run one cell as a notebook of its own; return its outputs."""
    project.write("01_talk", cell)
    run = project.run()
    run.execute(Limits())
    entry = Manifest.read(run.folder).notebooks["01_talk"]
    assert (entry.status, entry.reason) == ("ok", "")
    notebook = nbformat.read(run.folder / "01_talk.ipynb", as_version=4)
    return notebook.cells[-1].outputs


def text_of(outputs, stream):
    return "".join(output.text for output in outputs if output.get("name") == stream)


@pytest.mark.parametrize("_attempt", range(2))
def test_every_letter_of_10_000_flushed_writes_is_kept(project, _attempt):
    outputs = executed(project, FLUSHED)
    assert text_of(outputs, "stdout") == "".join(f"{n:0100}" for n in range(10_000))


def test_both_streams_are_kept_whole(project):
    outputs = executed(project, BOTH_STREAMS)
    whole = "".join(f"{n:050}\n" for n in range(3_000))
    assert text_of(outputs, "stdout") == whole
    assert text_of(outputs, "stderr") == whole


def test_every_displayed_value_is_kept(project):
    outputs = executed(project, DISPLAYED)
    texts = [output.data["text/plain"] for output in outputs]
    assert texts == [str(number) for number in range(3_000)]
