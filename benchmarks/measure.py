"""Time one way of doing one step, in this process alone: `measure.py STEP WAY SIZE [RESULT]`.

A way is a generator that yields three times: when its inputs are loaded (the clock starts),
when the work is done (the clock stops), and, where RESULT names a file, the arrays to compare.
"""

import gc
import importlib
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident():
    """Return memory held now, in MB; the highest so far where the system does not tell."""
    return _status("VmRSS") if STATUS.exists() else peak()


def peak():
    """Return the most memory held since `forget_peak`, in MB."""
    if STATUS.exists():
        return _status("VmHWM")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def forget_peak():
    """Start the search for the highest memory anew: imports and inputs do not count."""
    if FORGET.exists():
        FORGET.write_text("5")


def _status(name):
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1e3


def main():
    step, way, size, *result = sys.argv[1:]
    run = getattr(importlib.import_module(f"steps.{step}"), way)(size)
    next(run)
    gc.collect()
    forget_peak()
    before = resident()
    wall, cpu = time.perf_counter(), time.process_time()
    next(run)
    measured = {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "extra": max(peak() - before, 0.0),
        "peak": peak(),
    }
    if result:
        np.savez(result[0], **next(run))
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
