"""Time what a user waits for before anything happens: imports, help, a notebook's set-up cell.

Usage: python benchmarks/imports.py [ROUNDS]

Each measurement is a fresh process; printed are medians of processor time (user and system)
and of wall time, in seconds. The aims are 0.3 s for the package and 0.5 s for the help.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
AIMS = {"python itself": None, "import kpay_lab": 0.3, "kpay --help": 0.5}
COMMANDS = {
    "python itself": ["-c", "pass"],
    "import kpay_lab": ["-c", "import kpay_lab"],
    "kpay --help": ["-m", "kpay_lab", "--help"],
}


def setup_cell(path, folder):
    """Write a notebook's parameters and set-up cells as a script."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    wanted = {"parameters", "setup"}
    chosen = [cell for cell in cells if wanted & set(cell["metadata"].get("tags", []))]
    script = folder / f"{path.stem}.py"
    script.write_text("\n".join("".join(cell["source"]) for cell in chosen), encoding="utf-8")
    return [str(script)]


def seconds(arguments):
    """Run Python once; return its processor time and its wall time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        cells = {
            f"set-up of {path.stem}": setup_cell(path, Path(folder))
            for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        }
        print(f"{'':34} processor  wall   aim")
        for name, arguments in (COMMANDS | cells).items():
            times = [seconds(arguments) for _ in range(rounds)]
            processor, wall = (median(column) for column in zip(*times, strict=True))
            aim = AIMS.get(name)
            print(f"{name:34} {processor:8.2f} {wall:6.2f}  {aim if aim else '':>4}")


if __name__ == "__main__":
    main()
