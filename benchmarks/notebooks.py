"""Measure what each notebook takes on shops of three sizes; write RESULTS.md.

Usage: python benchmarks/notebooks.py [--users 10000 20000 60000] [--notebooks 01 04 ...] [--list]

The shops are written by the frozen generator in `shop`, once, beside the other logs. Each
measurement is a `kpay run` of one notebook. What the notebook's own processes take stands apart
from what the run takes around it, which reads the log first and writes the pages. A part of the
runs replaces its own rows in RESULTS.md and leaves the others.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import report
from logs import CACHE
from shop.log import write_shop
from shop.presets import ShopSpec
from table import N_SHOP_DAYS, N_SHOP_ITEMS, SHOP_SEED, SHOPS, NotebookRun

ROOT = Path(__file__).parents[1]
EXECUTES = "kpay_lab.report.execute"  # the module that runs one notebook in its own process
PAUSE = 0.1  # seconds between two looks at the processes
HOURS = "36000"  # seconds that a notebook or a cell may take


def shop_folder(n_users):
    """Return the folder of a shop's log, written when first asked for."""
    folder = CACHE / f"shop-{n_users}"
    if not folder.exists():
        print(f"writing a shop of {n_users:,} users …", flush=True)
        unfinished = folder.with_suffix(".part")
        write_shop(ShopSpec(n_users, N_SHOP_ITEMS, N_SHOP_DAYS, SHOP_SEED), unfinished)
        unfinished.rename(folder)
    return folder


def runs():
    """Return the runs to measure: each notebook that reads a log, and 04 with a search too."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not reads_a_log(path):
            continue
        if path.stem.startswith("04"):
            found.append(NotebookRun("04, n_trials=0", path.stem, ("n_trials=0",)))
            found.append(NotebookRun("04, n_trials=6", path.stem, ("n_trials=6",), (20_000,)))
        else:
            found.append(NotebookRun(path.stem[:2], path.stem))
    return found


def reads_a_log(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parameters = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    return any("data_dir:" in line for cell in parameters for line in cell["source"])


def measured(run, n_users):
    """Run one notebook on one shop, and return what it took."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "kpay_lab", "run", run.notebook, "--profile", "default"]
        command += ["--data", str(shop_folder(n_users)), "--output", output, "--jobs", "1"]
        command += ["--timeout", HOURS, "--cell-timeout", HOURS]
        for setting in run.settings:
            command += ["--set", setting]
        with tempfile.TemporaryFile() as told:
            process = subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=told)
            used = followed(process)
            told.seek(0)
            answer = told.read().decode()
        status, reason = outcome(Path(output), run.notebook, answer)
    row = {"run": run.name, "users": n_users, "status": status, "reason": reason, **used}
    print("  " + " | ".join(report.notebook_cells(row)), flush=True)
    return row


def followed(process):
    """Return seconds and memory of a notebook, and of the run around it, when the run has ended.

    Memory is in MB, of the largest single process. A process knows its own seconds and its own
    highest memory; the last look at it is at most `PAUSE` before its end.
    """
    run = psutil.Process(process.pid)
    cpu_of_notebook = {}  # seconds so far, by process
    peak, around_peak = 0.0, 0.0
    ended = False
    while not ended:
        time.sleep(PAUSE)
        try:
            everything = [run, *run.children(recursive=True)]
            of_notebook = processes_of_notebook(run)
        except psutil.Error:  # one of them ended between two looks
            everything, of_notebook = [], []
        for each in everything:
            if each in of_notebook:
                cpu_of_notebook[each.pid] = max(cpu_of_notebook.get(each.pid, 0.0), seconds(each))
                peak = max(peak, highest(each))
            else:
                around_peak = max(around_peak, highest(each))
        ended, code, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(code)  # nobody else waits for it now
    cpu = sum(cpu_of_notebook.values())
    around_cpu = usage.ru_utime + usage.ru_stime - cpu
    return {"cpu": cpu, "peak": peak, "around_cpu": around_cpu, "around_peak": around_peak}


def processes_of_notebook(run):
    """Return the process that executes the notebook, and all that it started."""
    found = []
    for child in run.children():
        if EXECUTES in child.cmdline():
            found += [child, *child.children(recursive=True)]
    return found


def seconds(process):
    """Return the processor seconds of a process so far, 0 where it has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def highest(process):
    """Return the most memory that a process held so far, in MB."""
    status = Path(f"/proc/{process.pid}/status")
    try:
        lines = status.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return max(kilobytes, default=0) * 1024 / 1e6  # a process that has ended holds none


def outcome(output, notebook, answer):
    """Return how a run ended, and why where it is not well."""
    manifests = list(output.glob("*/manifest.json"))
    if not manifests:
        return "refused", answer.strip().splitlines()[-1]
    entry = json.loads(manifests[0].read_text(encoding="utf-8"))["notebooks"][notebook]
    return entry["status"], entry["reason"].strip().partition("\n")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", nargs="+", type=int, choices=SHOPS, default=list(SHOPS))
    parser.add_argument(
        "--notebooks", nargs="+", metavar="NAME", help="beginnings of names, such as 04"
    )
    parser.add_argument("--list", action="store_true", help="name the runs and measure nothing")
    chosen = parser.parse_args()
    beginnings = tuple(chosen.notebooks or [""])
    wanted = [run for run in runs() if run.notebook.startswith(beginnings)]
    if not wanted:
        parser.error(f"no notebook begins with {' or '.join(beginnings)}")
    plan = [(run, size) for size in chosen.users for run in wanted if size in run.users]
    for run, size in plan:
        if chosen.list:
            print(" ".join([run.notebook, *run.settings, f"on {size:,} users"]))
        else:
            report.keep_notebook(measured(run, size))
    if not chosen.list:
        report.draw_notebooks()
        report.write_notebooks()


if __name__ == "__main__":
    main()
