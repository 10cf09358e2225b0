"""``kpay``: parses the command line, nothing else."""

import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from kpay_lab import __version__
from kpay_lab.checks import DOMAIN
from kpay_lab.columns import ITEM_KINDS
from kpay_lab.report.console import prepare_streams, say, silence, told_if_slow
from kpay_lab.report.files import project_root, write_text
from kpay_lab.report.params import Notebook, find_notebook
from kpay_lab.report.profile import (
    ADDRESS,
    chosen_notebooks,
    first_comment,
    lay_over,
    located,
    read_project,
    read_yaml,
    resolve,
)
from kpay_lab.report.surroundings import ensure_home, use_utf8

if TYPE_CHECKING:
    from kpay_lab.data.mapping import LogMapping
    from kpay_lab.report.once import Refusal
    from kpay_lab.report.runner import Run


class Place(click.ParamType):
    """A file or a folder that is there, or the address of a database."""

    name = "place"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return a path, or the address as text; a message never repeats a password."""
        if not ADDRESS.match(str(value)):
            path = click.Path(exists=True, path_type=Path)
            return path.convert(value, param, ctx)
        from kpay_lab.data.addresses import Address

        try:
            return str(Address.of(located("data_dir", value, Path.cwd())))
        except ValueError as error:
            self.fail(str(error), param, ctx)


FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
GRID = click.Path(exists=True, dir_okay=False, path_type=Path)
TABLES = Place()
SHARE = click.FloatRange(0, 1)
SECONDS = click.FloatRange(1, 1e7)
CORES = min(os.cpu_count() or 1, 4)
HELP_OF_DATA = (
    "A folder of tables, or of the profile's data set; or a database: postgresql://host/db, "
    "sqlite:///file, duckdb:///file. A password comes from KPAY_DATABASE_URL or ~/.pgpass."
)
PROFILE = click.option("--profile", default="default", help="A file of params/.")
SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="May repeat.")
PLAN = (
    PROFILE,
    SET,
    click.option("--data", type=TABLES, metavar="PLACE", help=HELP_OF_DATA),
    click.option("--output", type=FOLDER, help="Where runs are kept.  [default: outputs]"),
    click.option("--resume", type=EXISTING, metavar="RUN", help="Redo what is missing or failed."),
    click.option("--from-scratch", is_flag=True, help="With --resume: redo everything."),
)
LIMITS = (
    click.option("--jobs", type=click.IntRange(1, 64), default=CORES, help="Notebooks at a time."),
    click.option("--timeout", type=SECONDS, default=1800, help="Seconds a notebook."),
    click.option("--cell-timeout", type=SECONDS, default=900, help="Seconds a cell."),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="kpay")
def kpay() -> None:
    """From a behaviour log to a reproducible report."""


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make one decorator of several options."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):  # as if they stood one above the other
            command = option(command)
        return command

    return decorate


@kpay.command()
@click.argument("notebooks", nargs=-1)
@_options(*PLAN, *LIMITS)
def run(**given: Any) -> None:
    """Run notebooks and make their report; without any, the profile's or all.

    A notebook is named in full, by its number (04), by its beginning, or by its path.
    """
    _report(_planned, **given)


@kpay.command()
@click.argument("notebook", required=False)
@click.option("--grid", type=GRID, help="YAML, parameter: [values]; all combinations run.")
@click.option("--metric", "metrics", multiple=True, help="A key or pattern to show; may repeat.")
@_options(*PLAN, *LIMITS)
def sweep(**given: Any) -> None:
    """Run one notebook with many parameter sets; one table and picture of the results."""
    if not given["resume"] and not (given["notebook"] and given["grid"]):
        raise click.UsageError("name a notebook and its --grid FILE, or --resume SWEEP")
    _report(_planned_sweep, **given)


@kpay.command()
@click.argument("folder", metavar="RUN", type=EXISTING)
@click.option("--rtol", type=click.FloatRange(0, 1), help="[default: exact, or 1e-9 elsewhere]")
@_options(*LIMITS)
def verify(folder: Path, rtol: float | None, **limits: Any) -> None:
    """Run a run again and tell what differs; exit 0 only when the metrics are equal."""
    stop = _stoppable()
    from kpay_lab.report.runner import Limits
    from kpay_lab.report.verify import run_again

    known, _, _ = read_project()
    _warn(known)
    chosen_limits = Limits(**limits)
    verdict = run_again(folder, known, DOMAIN, limits=chosen_limits, stop=stop, rtol=rtol)
    if verdict is None:
        sys.exit(130)
    say(f"{verdict}\n", sys.stdout)
    if not verdict.equal:
        _leave(f"the rerun: {verdict.rerun / 'index.html'}", 1)


@kpay.command()
@click.argument("first", metavar="RUN_A", type=EXISTING)
@click.argument("second", metavar="RUN_B", type=EXISTING)
@click.option("-o", "--output", type=FILE, help="The page.  [default: beside RUN_B]")
def compare(first: Path, second: Path, output: Path | None) -> None:
    """Put two runs side by side on a page."""
    from kpay_lab.report.compare import compare as compared

    first = first.resolve()
    second = second.resolve()
    output = output or second.parent / f"compare-{first.name}-{second.name}.html"
    write_text(output, compared(first, second))
    click.echo(f"page: {output}")


def _report(
    plan: "Callable[..., Run]", resume: Path | None, from_scratch: bool, **given: Any
) -> NoReturn:
    """Run what is planned, or take up what was left, and end with the exit code."""
    from kpay_lab.report.once import RefusedError

    stop = _stoppable()
    limits = {key: given.pop(key) for key in ("jobs", "timeout", "cell_timeout")}
    if resume:
        _refuse_settings(given)
        work = _taken_up(resume.resolve(), from_scratch)
    elif from_scratch:
        raise click.UsageError("--from-scratch goes with --resume RUN")
    else:
        work = plan(**given)
    try:
        code = _execute(work, stop, limits)
    except RefusedError as error:
        _refused(work, error.refusal)
    say(_found(work), sys.stdout)
    say(f"report: {work.folder / 'index.html'}\n", sys.stdout)
    sys.exit(code)


def _refuse_settings(given: dict[str, Any]) -> None:
    """Refuse what was written beside ``--resume``; defaults of options are no settings."""
    source = click.get_current_context().get_parameter_source
    written = [key for key in given if source(key) == ParameterSource.COMMANDLINE]
    new = [key for key in written if given[key]]
    if new:
        raise click.UsageError(f"--resume takes a run up as it was; leave out {', '.join(new)}")


def _taken_up(folder: Path, anew: bool) -> "Run":
    """Return the run of a folder, to do what is left of it, or with ``anew`` all of it."""
    from kpay_lab.report.runner import from_scratch, resume
    from kpay_lab.report.sweep import summary_by_kind

    known = read_project()[0]
    _warn(known)
    if anew:
        return from_scratch(folder, known, DOMAIN, summary_by_kind)
    return resume(folder, known, DOMAIN, summary_by_kind)


def _stoppable() -> threading.Event:
    """Return what a signal to end sets, so that a run ends in order instead of anywhere.

    A terminal that is lost (SIGHUP) ends nothing: the report is for those who read it later.
    """
    stop = threading.Event()
    for sent in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(sent) != signal.SIG_IGN:
            signal.signal(sent, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: None)
    return stop


def _execute(work: "Run", stop: threading.Event, limits: dict[str, Any]) -> int:
    from kpay_lab.report.runner import Limits

    work.stop = stop
    work.execute(Limits(**limits))
    return {"ok": 0, "interrupted": 130}.get(work.manifest.status, 1)


def _found(work: "Run") -> str:
    """Return what the notebooks of a run found; nothing of a sweep, where every set finds it."""
    from kpay_lab.report.in_short import FILE, told

    is_sweep = any("/" in name for name in work.notebooks)
    is_written = (work.folder / FILE).is_file()
    return told(work.folder) if is_written and not is_sweep else ""


def _planned(notebooks: Any, profile: str, settings: Any, data: Any, output: Any) -> "Run":
    from kpay_lab.report.runner import start

    known, values, root = read_project(profile, data)
    names = chosen_notebooks(known, notebooks, values)
    parameters = resolve(known, names, values, settings, DOMAIN.faults_of)
    _warn(known)
    output = output or root / "outputs"
    work = start(known, parameters, profile, output, DOMAIN)
    work.refuses = True
    return work


def _refused(work: "Run", refusal: "Refusal") -> NoReturn:
    """End with a refusal of the data, leaving what was set aside beside the runs."""
    profile = work.manifest.profile
    mapping = read_project(profile)[1].shared.get("mapping")
    used = f" --profile {profile}" if mapping else ""
    check = f"kpay check {shlex.quote(refusal.source)}{used}"
    message = f"{refusal.message}\n{check} shows it, and what may be done"
    if refusal.rows is not None:
        kept = work.folder.parent / f"refused-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.csv"
        write_text(kept, refusal.rows)
        message += f"\nwhat was set aside: {kept}"
    _leave(message, 1)


def _planned_sweep(
    notebook: str, profile: str, settings: Any, data: Any, output: Any, **given: Any
) -> "Run":
    from kpay_lab.report.sweep import plan

    known, values, root = read_project(profile, data)
    name = find_notebook(known, notebook)
    base, problems = lay_over(known, [name], values, settings)
    work = plan(
        known,
        name,
        base[name],
        output=output or root / "outputs" / "sweeps",
        domain=DOMAIN,
        problems=problems,
        **given,
    )
    _warn(known)
    return work


def _warn(known: Mapping[str, Notebook]) -> None:
    """Name the files beside the notebooks that cannot be run; nobody asked for them."""
    for notebook in known.values():
        if notebook.fault:
            remedy = f"mend it, or move it out of {notebook.path.parent.name}/"
            say(f"kpay: {notebook.fault} (left out; {remedy})\n", sys.stderr)


@kpay.command("list")
@click.argument("notebook", required=False)
def list_(notebook: str | None) -> None:
    """List notebooks and profiles, or a notebook's parameters and the tables it needs."""
    known, _, root = read_project()
    if notebook:
        _tell(known[find_notebook(known, notebook)])
        return
    profiles = sorted((root / "params").glob("*.yaml"))
    names = [*known, *map(attrgetter("stem"), profiles)]
    width = max(map(len, names))
    click.echo("notebooks:")
    for name, listed in known.items():
        about = f"left out: {listed.fault}" if listed.fault else listed.title
        click.echo(f"  {name:{width}}  {about}")
    click.echo("profiles:")
    for path in profiles:
        click.echo(f"  {path.stem:{width}}  {first_comment(path)}".rstrip())
    click.echo("\nkpay list NOTEBOOK tells its parameters and the tables it needs;")
    click.echo("kpay run NOTEBOOK --profile PROFILE runs it. A number such as 04 names one, too.")


def _tell(notebook: Notebook) -> None:
    click.echo(f"{notebook.name}  {notebook.title}")
    click.echo(f"needs: {', '.join(notebook.needs) or 'no table in particular'}")
    click.echo("parameters:")
    for parameter in notebook.parameters.values():
        click.echo(f"  {parameter}")


@kpay.command()
@click.argument("notebook")
@PROFILE
@SET
def params(notebook: str, profile: str, settings: tuple[str, ...]) -> None:
    """Print a notebook's parameters as flat YAML, for ``papermill … -f``."""
    import yaml

    known, chosen, _ = read_project(profile)
    name = find_notebook(known, notebook)
    values = resolve(known, [name], chosen, settings, DOMAIN.faults_of)[name]
    _warn(known)
    values.pop("output_dir")
    click.echo(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), nl=False)


@kpay.command()
@click.argument("source", type=TABLES, metavar="PLACE")
@click.option("--profile", help="A file of params/ whose mapping says what the files mean.")
@click.option("--set", "settings", multiple=True, metavar="mapping={…}", help="Over the profile's.")
@click.option("--write", "path", type=FILE, metavar="FILE", help="Write the proposed profile.")
@click.option("--force", is_flag=True, help="With --write: replace the file.")
@click.option("--max-rejected", type=SHARE, default=0.05, help="Largest share of rows set aside.")
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def check(
    source: Path | str,
    profile: str | None,
    settings: tuple[str, ...],
    path: Path | None,
    force: bool,
    max_rejected: float,
    as_json: bool,
) -> None:
    """Tell what is understood of a log; where it is not, propose what the files mean.

    PLACE is a file, a folder, or a database: postgresql://host/db, sqlite:///file, duckdb:///file.

    Exit 0 when a report can rest on the log as it is, or on the profile just written; else 1.
    """
    if path is not None and path.exists() and not force:
        raise click.UsageError(f"{path} is there already; add --force to replace it")
    from kpay_lab.data.next_step import next_step, profile_text
    from kpay_lab.data.understanding import understand

    mapping = _mapping_said(profile, settings)
    with told_if_slow(f"reading {source}"):
        understood = understand(source, mapping, max_rejected=max_rejected)
    is_sound = understood.is_sound
    if path is not None:
        write_text(path, profile_text(understood, mapping))
        is_sound = understood.is_sound_as_proposed
    if as_json:
        click.echo(json.dumps(understood.as_dict(), ensure_ascii=False, indent=1, default=str))
    else:
        folder = project_root() / "params"
        if folder.is_relative_to(Path.cwd()):
            folder = folder.relative_to(Path.cwd())
        click.echo(f"{understood}\n\n{next_step(understood, profile, path, folder)}")
    sys.exit(0 if is_sound else 1)


def _mapping_said(profile: str | None, settings: tuple[str, ...]) -> "LogMapping":
    """Return the mapping of a profile, or the one that ``--set`` gives instead."""
    from kpay_lab.data.mapping import LogMapping

    said = read_project(profile)[1].shared.get("mapping") if profile else None
    for setting in settings:
        key, equals, text = setting.partition("=")
        if key != "mapping" or not equals:
            raise click.UsageError(f"--set {setting}: check knows mapping={{…}} alone")
        said = read_yaml(text, "--set mapping")
    return LogMapping.of(said)


@kpay.command()
@click.argument("folder", type=FOLDER)
@click.option("--field", default="online-education", help="Field of use.")
@click.option("--users", type=int, default=2000)
@click.option("--items", type=int, default=300)
@click.option("--days", type=int, default=90)
@click.option("--seed", type=int, default=0)
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", help="Of comments.")
@click.option(
    "--messy",
    type=click.IntRange(0),
    metavar="SEED",
    help="As people export it, with what must be read in it.",
)
def simulate(
    folder: Path,
    field: str,
    users: int,
    items: int,
    days: int,
    seed: int,
    language: str,
    messy: int | None,
) -> None:
    """Write a simulated log as files that `check` and `run --data` take.

    With --messy the files are in log/, what must be read in truth/, and what has to be said of them
    in mapping.yaml.
    """
    from kpay_lab.data.writing import write_tables
    from kpay_lab.world.messy import messy_shop
    from kpay_lab.world.presets import WorldSpec
    from kpay_lab.world.simulate import simulate as simulated

    if folder.is_dir() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty; name a new folder")
    spec = WorldSpec(users, items, days, seed, field, language=language)
    if messy is not None:
        for path in messy_shop(spec, messy).write(folder):
            click.echo(path)
        return
    tables, truth = simulated(spec)
    paths = write_tables(tables, folder)
    truth.save(folder)
    for path, frame in zip(paths, tables.present().values(), strict=True):
        click.echo(f"{path}: {len(frame):,} rows")


@kpay.command()
@click.option(
    "--data",
    type=TABLES,
    metavar="PLACE",
    required=True,
    help="A folder of tables, or of --dataset, or a database.",
)
@click.option("--dataset", default="tables", help="How to read it.")
@click.option(
    "--model", default="ease", help="ease, als, ...; or mix, with --set parts=[ease,als]."
)
@SET
@click.option("--k", type=click.IntRange(1, 1000), default=10)
@click.option("--ids", type=click.Choice(["keep", "pseudonymise"]), default="keep", help="Users'.")
@click.option("--reviewed-only", is_flag=True, help="Leave out items not marked as reviewed.")
@click.option("--verified-only", is_flag=True, help="Leave out items of unverified authors.")
@click.option("--min-rating", type=float, help="Leave out items with a lower mean rating.")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(ITEM_KINDS),
    multiple=True,
    help="Kind of item to list, once or more; by default the kinds with a price.",
)
@click.option("--live-at", metavar="TIME", help="List what is live then; ISO, UTC by default.")
@click.option("-o", "--output", type=FILE, required=True, help="Ends in .csv or .parquet.")
def recommend(
    data: Path | str,
    dataset: str,
    model: str,
    settings: tuple[str, ...],
    k: int,
    ids: str,
    live_at: str | None,
    output: Path,
    **only: Any,
) -> None:
    """Write k recommendations for every user of a log, each with a reason."""
    if output.suffix not in (".csv", ".parquet"):
        raise click.UsageError(f"{output} must end in .csv or .parquet")
    from kpay_lab.data.tables import moment
    from kpay_lab.recommend.choose import build_model
    from kpay_lab.report.session import write_table
    from kpay_lab.workbench import left_out_parts, list_for_everybody, open_log

    chosen = build_model(model, _model_settings(settings))
    with told_if_slow(f"reading {data}"):
        log = open_log(data, dataset=dataset, ids=ids)
    with told_if_slow(f"{model} learns, and ranks for everybody"):
        lists = list_for_everybody(log, chosen, k, live_at=moment("--live-at", live_at), **only)
    write_table(output, lists)
    for note in (*log.notes, *left_out_parts(chosen)):
        click.echo(note, err=True)
    click.echo(f"{output}: {lists['user_id'].nunique():,} users, {len(lists):,} rows")


def _model_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise click.UsageError(f"--set {key}: write key=value")
        values[key] = read_yaml(text, f"--set {key}")
    return values


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a wrong use is one clear line (or one a problem) and exit 2.

    Anything unexpected is one line and exit 1; ``KPAY_DEBUG=1`` shows the traceback.
    """
    if arguments is None:
        use_utf8()
    prepare_streams()
    ensure_home()
    given = arguments or sys.argv[1:] or ["--help"]
    try:
        kpay.main(given, prog_name="kpay", standalone_mode=False)
    except click.ClickException as error:
        _leave(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        _leave("interrupted", 130)
    except Exception as error:
        if os.environ.get("KPAY_DEBUG"):
            raise
        if isinstance(error, ValueError):  # the package's own errors: place, value, remedy
            _leave(str(error), 2)
        silence(sys.stdout)  # where it was its fault, Python would complain again at the end
        _leave(f"{type(error).__name__}: {error} (KPAY_DEBUG=1 shows where)", 1)


def _leave(message: str, code: int) -> NoReturn:
    lines = [f"kpay: {line}\n" for line in message.splitlines()]
    say("".join(lines), sys.stderr)
    sys.exit(code)
