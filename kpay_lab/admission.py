"""The process that reads the data of a run once: ``python -m kpay_lab.admission TASK``.

It admits each log and simulates each shop that the run's notebooks will ask for, and leaves them
in the run's private folder, see `data.admitted`. What reading took of memory goes with the process.
"""

import json
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from kpay_lab.checks import (
    Refused,
    gate_of,
    look_first,
    reads_log,
    reads_own_tables,
    shop_of,
)
from kpay_lab.data.admitted import asked_of_log, content_hash, keep_log, name_of
from kpay_lab.data.log import Log
from kpay_lab.data.mapping import LogMapping
from kpay_lab.interest.engines import open_engine
from kpay_lab.report.manifest import abandon
from kpay_lab.report.once import Admission, Kept, Refusal
from kpay_lab.workbench import admit_log
from kpay_lab.world.presets import WorldSpec
from kpay_lab.world.simulate import keep_simulation, simulate

Parameters = Mapping[str, Mapping[str, Any]]
NO_ROOM = "each notebook reads it from its source"


class Shelf:
    """The run's private folder, with a record of what was put there.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, Kept] = {}
        self.problems: list[str] = []

    def put(self, name: str, source: str, write: Callable[[Path], None]) -> None:
        """Let something write itself to a folder of a name, whole or not at all."""
        unfinished = self.folder / f".{name}"
        try:
            write(unfinished)
        except (OSError, pa.ArrowException) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            self.problems.append(f"{source} cannot be kept for the run ({error}); {NO_ROOM}")
            return
        whole = unfinished.rename(self.folder / name)
        self.kept[name] = Kept(source, content_hash(whole))

    def put_log(self, name: str, source: str, log: Log) -> None:
        """Put a log there that was admitted."""
        self.put(name, source, partial(keep_log, log))


def admit(parameters: Parameters, folder: Path) -> Admission:
    """Read what notebooks will ask for, each thing once, and keep it in a folder.

    Parameters
    ----------
    parameters : mapping of notebook to its parameters
    folder : Path
        The run's private one; it is there and empty.

    Returns
    -------
    Admission
        What was understood of one's own logs, the first refusal, and what was kept.
    """
    shelf = Shelf(folder)
    answer = look_first(parameters, shelf.put_log)
    lines: list[str] = []
    refusal = None
    if isinstance(answer, Refused):
        rows = None if answer.rows is None else answer.rows.to_csv(index=False)
        refusal = Refusal(answer.source, answer.message, rows)
    else:
        lines = answer
    for values in parameters.values():
        if reads_log(values) and not reads_own_tables(values):
            _put_other_log(values, shelf)
    _put_shops(parameters, shelf)
    return Admission(lines, refusal, shelf.kept, shelf.problems)


def _put_other_log(values: Mapping[str, Any], shelf: Shelf) -> None:
    """Keep a public log, or the totals of an engine; a refusal is left to the notebook to say."""
    engine = open_engine(
        values.get("engine", "memory"),
        half_life_days=values.get("half_life_days") or None,
        spark_master=values.get("spark_master", ""),
        spark_exchange=values.get("spark_exchange", ""),
    )
    source = values["data_dir"]
    dataset = values["dataset"]
    mapping = LogMapping.of(values.get("mapping"))
    gate = gate_of(values)
    name = name_of(*asked_of_log(source, dataset, mapping, gate, engine))
    if name in shelf.kept:
        return
    try:
        log = admit_log(source, dataset, mapping, gate, engine)
    except ValueError:
        return
    shelf.put_log(name, source, log)


def _put_shops(parameters: Parameters, shelf: Shelf) -> None:
    """Simulate the shops that several notebooks ask for; one alone does it as fast itself."""
    shops = [shop_of(values) for values in parameters.values()]
    specs = Counter(WorldSpec(**shop) for shop in shops if shop)
    for spec, n_notebooks in specs.items():
        if n_notebooks > 1:
            write = partial(keep_simulation, simulate(spec))
            shelf.put(name_of(spec), "the simulated shop", write)


def main(task_file: str) -> None:
    """Do what a task file says, and leave the answer beside it."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    run = Path(task["run"])
    threading.Thread(target=_end_with_runner, args=(run,), daemon=True).start()
    admission = admit(task["parameters"], Path(task["folder"]))
    admission.write(Path(task_file).parent)


def _end_with_runner(run: Path) -> None:
    """End with the runner, even a killed one: the pipe that it holds open then closes."""
    os.read(0, 1)
    abandon(run)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
