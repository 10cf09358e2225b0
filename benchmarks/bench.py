"""Time each step of the workbench next to what a user would take instead; write RESULTS.md.

Every measurement is a process of its own, at one thread; the ways of a step alternate. The peers
live in environments of their own under benchmarks/.venvs, made when first needed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from statistics import median

import numpy as np
import report
from logs import CACHE, interactions, log_file
from table import ENGINES, GROWTH, STEPS

HERE = Path(__file__).parent
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in THREADS}


def python_of(name):
    """Return the interpreter of an environment of peers, built from its pinned list."""
    folder = HERE / ".venvs" / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {name} …", flush=True)
        venv.create(folder, with_pip=shutil.which("uv") is None, clear=True)
        pip = ["-m", "pip"] if shutil.which("uv") is None else ["pip"]
        command = [str(python) if pip[0] == "-m" else "uv", *pip, "install", "--quiet", "--no-deps"]
        place = {"VIRTUAL_ENV": str(folder)}
        wanted = ["-r", str(HERE / f"{name}.txt")]
        subprocess.run([*command, *wanted], check=True, env=os.environ | place)
        (folder / "ready").touch()
    return python


def measure(python, step, way, size, result=None):
    """Run one way of one step in a fresh process."""
    command = [python, HERE / "measure.py", step, way, size, *([result] if result else [])]
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{step} {way} {size} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(step, repeats):
    """Alternate the ways of a step, and hold their results together in the first round."""
    pythons = {"floor": sys.executable, "ours": sys.executable, "peer": python_of(step.peers)}
    found, saved = {way: [] for way in pythons}, {}
    for number in range(repeats):
        for way, python in pythons.items():
            keep = number == 0 and way != "floor"
            if keep:
                saved[way] = CACHE / f"{step.module}-{step.size}-{way}.npz"
            found[way].append(
                measure(python, step.module, way, step.size, saved.get(way) if keep else None)
            )
        ratio = median(each["cpu"] for each in found["peer"]) / median(
            each["cpu"] for each in found["ours"]
        )
        print(f"  {step.name}: round {number + 1} of {repeats}, ratio {ratio:.2f}", flush=True)
    results = []
    for way in ("peer", "ours"):
        with np.load(saved[way]) as arrays:
            results.append(dict(arrays))
        saved[way].unlink()
    module = __import__(f"steps.{step.module}", fromlist=["check"])
    return report.Line(step, found, module.check(*results))


def grow(repeats):
    """Measure the matrix at growing logs, in memory and added up by DuckDB."""
    found = {}
    for engine, step in ENGINES.items():
        found[engine] = {}
        for size in GROWTH:
            log_file(size)
            runs = [measure(sys.executable, step, "ours", size) for _ in range(repeats)]
            taken = {key: median(run[key] for run in runs) for key in ("cpu", "peak")}
            found[engine][size] = taken
            print(
                f"  growth {engine} {size}: {taken['cpu']:.1f} s, {taken['peak']:.0f} MB",
                flush=True,
            )
    return found


def main():
    names = list(dict.fromkeys(step.module for step in STEPS))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", nargs="+", choices=[*names, "growth"], default=[*names, "growth"]
    )
    parser.add_argument("--sizes", nargs="+", choices=["S", "M"], default=["S", "M"])
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    steps = [s for s in STEPS if s.module in chosen.steps and s.size in chosen.sizes]
    for size in chosen.sizes:
        log_file(size)
        interactions(size)
    for step in steps:
        report.keep(compare(step, chosen.repeats), chosen.repeats)
    if "growth" in chosen.steps and "M" in chosen.sizes:
        report.keep_growth(grow(1), GROWTH)
    report.write()
    print((HERE / "RESULTS.md").read_text())


if __name__ == "__main__":
    main()
