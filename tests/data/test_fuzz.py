"""Files as nobody should write them: `kpay check` always answers, and no row is lost.

An answer is exit 0 or 1 and JSON that names the file where it was not understood. Words on the
stream of errors or a traceback would be a fault of ours.
"""

import contextlib
import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpay_lab import cli

SECONDS = 30  # far more than a file of a few rows takes
NAMED = (
    "user_id item_id timestamp watch_time duration like_count comment_count progress rating "
    "session_id consent age price kind title published_at reviewed amount refunded_at position "
    "propensity treatment clicked part 用户 课程 时间 观看时长 点赞 uid time ip USER_ID"
)
COLUMNS = (*NAMED.split(" "), "", " user_id ", "=cmd", "<b>", "a,b", 'q"', "line\nend", "\x1b[7m")
CELLS = st.one_of(
    st.sampled_from(
        ["u1", "u2", "i1", "", " ", "NA", "null", "007", "0", "1", "-1", "3.5", "1e308", "1e400",
         "-1e400", "inf", "-inf", "nan", "9" * 40, "-" + "9" * 20, "１２", "0x1F", "1_000", "1,5",
         "2024-01-01", "2024-02-30", "0001-01-01", "9999-12-31T23:59:59Z", "12345-01-01",
         "2024-01-01T00:00:00+99:99", "1704067200", "1704067200000", "-62135596801", "1e18",
         "true", "是", "有", "course", "\x00", "\x1b[31m", "a\nb", 'a"b', "'", "=1+1", "\u2028",
         "\ufeff", "\U0001f600", "e\u0301", "true\r", "[]", "{}", "x" * 5000]
    ),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.floats().map(repr),
    st.integers().map(str),
)  # fmt: skip
NAMES = st.sampled_from(["events", "users", "items", "orders", "exposures"])
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030", "latin-1", "cp1252")


@st.composite
def tables(draw):
    """Draw a header and rows; mostly with the required columns, mostly as wide as the header."""
    header = draw(st.lists(st.sampled_from(COLUMNS), max_size=5))
    if draw(st.integers(0, 9)):
        header = draw(st.permutations(["user_id", "item_id", *dict.fromkeys(header)]))
    width = len(header) if draw(st.booleans()) else draw(st.integers(0, 9))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
    return header, rows


@st.composite
def files(draw):
    """Draw the bytes of a file, its suffix, and its number of rows where that is certain."""
    header, rows = draw(tables())
    kind = draw(st.sampled_from(["csv", "csv", "csv", "txt", "jsonl", "parquet", "noise"]))
    if kind == "noise":
        return draw(st.binary(max_size=200)), draw(st.sampled_from(["csv", "jsonl", "parquet"])), -1
    raw, n_rows = _WRITERS[kind](draw, header, rows)
    if draw(st.integers(0, 4)) == 0:  # damage
        at = draw(st.integers(0, len(raw)))
        raw, n_rows = raw[:at] + draw(st.binary(max_size=4)) + raw[at + 1 :], -1
    return raw, kind, n_rows


def _as_csv(draw, header, rows):
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    separator = draw(st.sampled_from(",,;\t|"))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=ending, quoting=quoting)
    writer.writerows([header, *rows])
    encoding = draw(st.sampled_from(ENCODINGS))
    written = text.getvalue().removesuffix(draw(st.sampled_from(["", ending])))
    ends_inside = any(mark in cell for row in [header, *rows] for cell in row for mark in "\r\n")
    certain = header and "\x00" not in written and (quoting == csv.QUOTE_ALL or not ends_inside)
    certain = certain and encoding in ("utf-8", "utf-8-sig", "utf-16")
    n_blank = sum(len(row) == len(header) and not "".join(row).strip() for row in rows)
    n_rows = sum(map(bool, rows)) - n_blank
    return written.encode(encoding, "replace"), n_rows if certain else -1


def _as_jsonl(draw, header, rows):
    objects = [dict(zip(header, row, strict=False)) for row in rows]
    values = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.just([1]), CELLS)
    for one in objects:
        one |= {name: draw(values) for name in draw(st.sets(st.sampled_from(COLUMNS), max_size=2))}
    return "\n".join(map(json.dumps, objects)).encode(), len(objects)


def _as_parquet(draw, header, rows):
    frame = pd.DataFrame({name: [row[:1] for row in rows] for name in header}).map("".join)
    names = draw(st.sampled_from([header, header + header[:1]]))
    columns = [pa.array(frame[name], pa.string()) for name in names]
    typed = [float("nan"), -1.5, float("inf"), None] * len(rows)
    columns.append(draw(st.sampled_from([
        pa.array(typed[: len(rows)], pa.float64()), pa.array([[1]] * len(rows)),
        pa.array([b"\xff"] * len(rows)), pa.array([2**62] * len(rows), pa.timestamp("ns")),
    ])))  # fmt: skip
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, [*names, "watch_time"]), file)
    return file.getvalue(), len(rows)


_WRITERS = {"csv": _as_csv, "txt": _as_csv, "jsonl": _as_jsonl, "parquet": _as_parquet}


def check(folder: Path, *options: str) -> tuple[int, str, str]:
    """Run `kpay check` in this process: exit code, output, errors."""

    def too_long(*_):
        raise TimeoutError(f"no answer within {SECONDS} s")

    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    code: int | str | None = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main(["check", str(folder), *options])
    except SystemExit as left:
        code = left.code or 0
    finally:
        signal.alarm(0)
    return code, out.getvalue(), err.getvalue()


def one_answer(folder: Path, raw: bytes, name: str, kind: str, n_rows: int) -> None:
    (folder / f"{name}.{kind}").write_bytes(raw)
    if name != "events":
        (folder / "events.csv").write_text("user_id,item_id\nu1,i1\n")
    code, out, err = check(folder, "--json")
    assert "Traceback" not in err
    assert code in (0, 1) and not err, err
    answer = json.loads(out)
    if not answer["tables"]:
        assert code == 1 and name in answer["refusal"], answer["refusal"]
    for counts in answer["tables"]:
        assert counts["good"] + counts["rejected"] == counts["read"]
        if counts["table"] == name and n_rows >= 0:
            assert counts["read"] == n_rows
    said = check(folder)[1]
    assert all(len(line) < 1000 and "\x1b" not in line for line in said.splitlines())


@pytest.mark.filterwarnings("error::RuntimeWarning")  # it would show beside the answer
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(file=files(), name=NAMES)
def test_check_answers_whatever_the_file(tmp_path_factory, file, name):
    one_answer(tmp_path_factory.mktemp("log"), file[0], name, *file[1:])


@pytest.mark.slow
@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=2500, suppress_health_check=list(HealthCheck))
@given(file=files(), name=NAMES)
def test_check_answers_over_and_over(tmp_path_factory, file, name):
    one_answer(tmp_path_factory.mktemp("log"), file[0], name, *file[1:])


def test_a_few_in_a_process_of_their_own(tmp_path):
    (tmp_path / "events.csv").write_bytes(b"user_id,item_id,watch_time\nu,i,\x1b[31m\nu,i\n")
    for folder, code in ((tmp_path, 1), (tmp_path / "nowhere", 2)):  # half of the rows are bad
        command = [sys.executable, "-m", "kpay_lab", "check", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == code and "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout and len(done.stderr.splitlines()) == (code == 2)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["item_id", "watch_time", "ip", ""])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_one_field_of_200_megabytes(tmp_path, column, kind):
    """As an id, where a number belongs, in a column that is not used, and on a ragged line."""
    huge = "x" * 200_000_000
    with (tmp_path / f"events.{kind}").open("w") as file:
        if kind == "csv":
            row = {"item_id": f"u,{huge},1,", "watch_time": f"u,i,{huge},", "ip": f"u,i,1,{huge}"}
            file.write(f"user_id,item_id,watch_time,ip\nu,i,1,\n{row.get(column, huge)}\nu,i,2,\n")
        else:
            names = {"user_id": "u", "item_id": "i", "watch_time": 1, column or "item_id": huge}
            file.write(f'{{"user_id":"u","item_id":"i"}}\n{json.dumps(names)}\n')
            file.write('{"user_id":"u","item_id":"i"}\n' if column else "[1]\n")
    command = [sys.executable, "-m", "kpay_lab", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
    assert done.stdout.startswith("events: 3 rows read")
    assert len(done.stdout) < 3000
