"""Scripts and formulas planted in the data: open the report in Chromium; nothing may happen."""

import csv
import http.server
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from kpay_lab.data.tables import Tables
from kpay_lab.data.writing import write_tables

NOTEBOOKS = [path.stem for path in sorted(Path("notebooks").glob("0[0-6]*.ipynb"))]
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    return program or pytest.skip("no Chromium on the path")


@pytest.fixture(scope="module")
def listener():
    """Serve nothing on a port of this machine and remember what was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def payloads(listener):
    address = f"http://127.0.0.1:{listener.server_port}"
    return [
        f"<script>document.title='RAN';fetch('{address}/script')</script>",
        f"<img src='{address}/img' onerror=\"document.title='RAN'\">",
        f"<svg onload=\"document.title='RAN'\"><image href='{address}/svg'/></svg>",
        f"</title></style></pre></td><iframe src='{address}/frame'></iframe>",
        f"![x]({address}/markdown) [x](javascript:document.title='RAN')",
        f"<style>@import '{address}/style';</style><link rel=stylesheet href='{address}/link'>",
        f'=HYPERLINK("{address}/formula")',
        "@SUM(1+1)*cmd",
        "+1+cmd",
        "-2+3+cmd",
        "$\\href{javascript:document.title='RAN'}{x}$",
    ]


@pytest.fixture(scope="module")
def report(small_world, payloads, tmp_path_factory):
    """The report on a log whose every text, id and further column name is a payload."""

    def planted(texts: pd.Series) -> pd.Series:
        kinds = texts.astype("category").cat.codes
        return pd.Series([f"{payloads[k % len(payloads)]} {k}" for k in kinds], texts.index)

    frames = {}
    for name, frame in small_world[0].present().items():
        texts = {"title", "description", "category", "brand", "host", "occupation", "gender"}
        changed = {column: planted(frame[column]) for column in texts & set(frame)}
        for column in {"user_id", "item_id", "promotes", "source_item_id"} & set(frame):
            changed[column] = payloads[0] + frame[column]
        frames[name] = frame.assign(**changed)
    frames["users"] = frames["users"].assign(**{payloads[1]: "a", payloads[6]: "b"})
    frames["events"] = frames["events"].assign(**{payloads[2]: "c"})
    folder = tmp_path_factory.mktemp("log")
    write_tables(Tables(**frames), folder)
    output = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-m", "kpay_lab", "run", *NOTEBOOKS, "--profile", "smoke"]
    command += ["--data", str(folder), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return (output / "latest").resolve()


def opened(chromium: str, page: Path) -> str:
    """Return the document as it stands after Chromium has loaded a page and let it run."""
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    command = [chromium, *options.split(), "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, check=False, timeout=120
    )
    assert "</html>" in done.stdout, done.stderr
    return done.stdout


def title(document: str) -> str:
    return document.partition("<title>")[2].partition("</title>")[0]


@pytest.mark.browser
def test_the_payloads_do_work_where_nothing_stops_them(chromium, listener, payloads, tmp_path):
    listener.asked.clear()
    for number in (0, 1, 2, 3, 5):
        page = tmp_path / f"{number}.html"
        page.write_text(f"<html><title>calm</title><body>{payloads[number]}</body></html>")
        listener.asked.clear()
        assert title(opened(chromium, page)) == "RAN" or listener.asked, payloads[number]


@pytest.mark.browser
@pytest.mark.parametrize("guard", ["as written", "without its policy"])
def test_nothing_runs_and_nothing_is_fetched(report, chromium, listener, tmp_path, guard):
    listener.asked.clear()
    pages = sorted(report.glob("*.html"))
    assert len(pages) == len(NOTEBOOKS) + 2  # the index and the glossary
    planted = 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        planted += text.count("document.title=")
        if guard == "without its policy":  # escaping alone must do
            text, removed = re.subn(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", text)
            assert removed == 1
        copy = tmp_path / page.name
        copy.write_text(text, encoding="utf-8")
        expected = re.search(r"<title>(.*?)</title>", text, re.S).group(1)
        assert title(opened(chromium, copy)) == expected
        assert listener.asked == [], page.name
    assert planted > 0, "no payload reached a page: the test would prove nothing"


@pytest.mark.browser
def test_no_exported_cell_is_a_formula(report):
    cells = []
    for path in report.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            cells += [cell for row in csv.reader(file) for cell in row]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)
    risky = [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    assert [cell for cell in risky if not NUMBER.fullmatch(cell)] == []
