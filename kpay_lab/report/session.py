"""What a notebook hands over: metrics, figures and tables, written all at once."""

import io
import math
import numbers
import os
import re
import shutil
import tempfile
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kpay_lab.findings import Finding
from kpay_lab.report.files import project_root, sha256, to_json, write_bytes
from kpay_lab.report.in_short import FILE, InShort, say
from kpay_lab.report.tables import check_kinds, show_frames

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Scalar = bool | int | float | str | None

NAME = re.compile(r"[\w@+.-]+")
FORMULA_STARTS = tuple("=+-@＝＋－＠\t\r\n")


class NotApplicable(Exception):  # noqa: N818
    """Ends a notebook whose question its data cannot answer; the message says why."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone: IPython asks for this in place of a traceback."""
        return [str(self)]


class Session:
    """Collect a notebook's results and write them in one step.

    Nothing touches the disk before `save`; then the folder ``<output_dir>/<notebook>/``
    appears whole. A relative ``output_dir`` lies in the project, and only one named
    ``interactive`` is ever overwritten. In a running notebook every frame is shown as
    `report.tables.to_html` writes it from then on.

    >>> session = Session("02_interest_matrix")
    >>> session.metric("users", 4, headline="users")
    >>> session.metric("mean_interest", float("nan"), why="no pair has met")
    >>> session.metrics
    {'users': 4, 'mean_interest': None}
    >>> session.why
    {'mean_interest': 'no pair has met'}
    """

    def __init__(self, notebook: str, output_dir: str = "outputs/interactive") -> None:
        self.notebook = _checked_name(notebook)
        self.output_dir = project_root() / output_dir
        self.folder = self.output_dir / notebook
        self.metrics: dict[str, Scalar] = {}
        self._findings: list[Finding] = []
        self._files: dict[str, bytes] = {}
        self.why: dict[str, str] = {}
        self._notes: dict[str, Any] = {
            "record": {},
            "data_files": {},
            "headlines": [],
            "figures": [],
            "tables": [],
        }
        show_frames()

    def metric(
        self, key: str, value: Any, *, headline: str | None = None, why: str | None = None
    ) -> None:
        """Keep one number, text or yes/no; None and NaN mean *not defined here*: null.

        Parameters
        ----------
        headline : str, optional
            A few words; they mark a key figure of the index page.
        why : str, optional
            What keeps the value from being defined, in a few words. It is kept only where the
            value is null, so a cell may say it of any value that can be.

        Raises
        ------
        ValueError
            If the key was used before, or the value is infinite or no scalar.
        """
        if key in self.metrics:
            raise ValueError(f"metric {key!r} was recorded before; each key is used once")
        kept = _scalar(key, value)
        self.metrics[key] = kept
        if kept is None and why is not None:
            self.why[key] = why
        if headline is not None:
            self._notes["headlines"].append({"key": key, "words": headline})

    def interval(
        self, key: str, interval: Any, *, headline: str | None = None, why: str | None = None
    ) -> None:
        """Keep an estimate and the ends of its interval: ``key``, ``key/low``, ``key/high``.

        Parameters
        ----------
        interval : object
            It has ``estimate, low, high``, as `kpay_lab.stats.Interval` has.

        >>> from kpay_lab.stats import Interval
        >>> session = Session("06_experiments")
        >>> session.interval("effect", Interval(0.5, 0.25, 0.75))
        >>> session.metrics
        {'effect': 0.5, 'effect/low': 0.25, 'effect/high': 0.75}
        """
        self.metric(key, interval.estimate, headline=headline, why=why)
        self.metric(f"{key}/low", interval.low, why=why)
        self.metric(f"{key}/high", interval.high, why=why)

    def record_frame(
        self,
        frame: "pd.DataFrame",
        *,
        key: str = "",
        value: str | None = None,
        why: str | None = None,
    ) -> None:
        """Keep each cell of a small frame as a metric.

        Its key is ``key``, the labels of its row and its column, joined by a slash.

        Parameters
        ----------
        value : str, optional
            The column whose cells stand under the key of their row alone, such as the mean
            beside its ``low`` and ``high``.

        >>> import pandas as pd
        >>> rows = pd.Index(["als", "ease"], name="model")
        >>> frame = pd.DataFrame({"mean": [0.5, 0.25], "low": [0.375, 0.125]}, rows)
        >>> session = Session("04_model_comparison")
        >>> session.record_frame(frame, key="ndcg", value="mean")
        >>> session.metrics  # doctest: +NORMALIZE_WHITESPACE
        {'ndcg/als': 0.5, 'ndcg/als/low': 0.375, 'ndcg/ease': 0.25, 'ndcg/ease/low': 0.125}
        """
        beginning = [key] if key else []
        for label, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
            labels = label if isinstance(label, tuple) else (label,)
            of_row = [*beginning, *map(str, labels)]
            for column, cell in zip(frame.columns, row, strict=True):
                parts = of_row if column == value else [*of_row, str(column)]
                self.metric("/".join(parts), cell, why=why)

    def findings(self, found: Iterable[Finding]) -> InShort:
        """Keep what a result found and return it as a list of sentences, which shows itself.

        They stand at the top of the notebook's page, and the most important of a run at its end
        on the terminal.

        >>> from kpay_lab.findings import lacking
        >>> print(Session("02_interest_matrix").findings([lacking("contact", "orders")]))
        • What a contact is worth is not known: it would take the table orders with what was paid.

        Raises
        ------
        ValueError
            If a finding has no words, or was kept before.
        """
        new = list(found)
        said = say(new)
        for finding in new:
            if finding in self._findings:
                raise ValueError(f"finding {finding.key!r} was recorded before with these values")
            self._findings.append(finding)
        return said

    def in_short(self) -> InShort:
        """Return all that was found so far as a list of sentences, the most important first."""
        return say(self._findings)

    def require(self, holds: Any, what: str) -> None:
        """Stop the notebook where something does not hold that its results rest on.

        Unlike an ``assert`` it cannot be switched off (``python -O``, PYTHONOPTIMIZE).

        >>> Session("02_interest_matrix").require(1 + 1 == 2, "sums are right")
        """
        if not holds:
            raise RuntimeError(f"this must hold and does not: {what}")

    def figure(
        self, name: str, picture: "Figure | Axes", *, headline: str | None = None
    ) -> "Image":
        """Keep a figure as PNG and return that picture, so that a cell's last line shows it.

        The figure is closed: it is drawn once, and the notebook shows what the file holds.
        ``headline`` (a few words) puts it among the index page's pictures; without any
        marked figure the notebook's first one is shown there.
        """
        import matplotlib.pyplot as plt
        from IPython.display import Image

        fig = picture.get_figure(root=True)
        stream = io.BytesIO()
        nameless = {"Software": ""}  # else the file would differ with Matplotlib's version
        fig.savefig(stream, format="png", dpi=144, bbox_inches="tight", metadata=nameless)
        png = stream.getvalue()
        self._keep(f"figures/{_checked_name(name)}.png", png)
        self._notes["figures"].append({"name": name, "words": headline})
        plt.close(fig)
        width = round(100 * fig.get_figwidth())
        return Image(png, width=width, alt=headline or name, metadata={"figure": name})

    def table(
        self,
        name: str,
        frame: "pd.DataFrame",
        *,
        kinds: Mapping[Hashable, str] | None = None,
        missing: str | None = None,
    ) -> "pd.DataFrame | None":
        """Keep a table and return it, so that a cell's last line shows it.

        It becomes CSV in full precision, where text that a spreadsheet would run as a formula
        gets a leading ``'``. A name that ends in ``.parquet`` makes a Parquet file for machines,
        which may carry ids: it is returned as None and so never shown.

        Parameters
        ----------
        kinds : mapping, optional
            Column -> how its numbers are written: ``money``, ``share``, ``count``, ``score``,
            ``difference``, ``p``, ``days``, ``hours``, ``time`` or ``text``. A column that is
            not named is written by its type and the words of its name.
        missing : str, optional
            What stands where a value is missing, such as ``hidden``; else a dash.

        Returns
        -------
        DataFrame or None
            The frame itself. Its ``attrs`` say from now on where it is kept, so that a page
            links the file wherever the frame is shown, or a part of it such as ``head(5)``.

        Raises
        ------
        ValueError
            If the name was used before, or a kind is unknown or of a column that is not there.
        """
        if _checked_name(name).endswith(".parquet"):
            self._keep(f"tables/{name}", frame.to_parquet())
            return None
        chosen = dict(kinds or {})
        check_kinds(frame, chosen)
        name = name.removesuffix(".csv")
        self._keep(f"tables/{name}.csv", safe_csv(frame))
        self._notes["tables"].append(name)
        frame.attrs |= {"table": name, "rows": len(frame), "kinds": chosen}
        if missing is not None:
            frame.attrs["missing"] = missing
        return frame

    def rejected(self, rows: "pd.DataFrame") -> Path:
        """Write rows that were set aside to the run's ``rejected/``; return the file's path.

        It is written at once: a log too broken to go on with still leaves its evidence.
        """
        path = self.output_dir / "rejected" / f"{self.notebook}.csv"
        write_bytes(path, safe_csv(rows))
        return path

    def data_files(self, paths: Iterable[str | Path]) -> None:
        """Name the files that were read, just after reading; the manifest records their hashes."""
        for path in paths:
            file = Path(path).resolve()
            self._notes["data_files"][str(file)] = sha256(file)

    def record(self, key: str, value: Any) -> None:
        """Put a fact (a split's hash, a seed) into the manifest; it must be JSON."""
        to_json(value)
        self._notes["record"][key] = value

    def not_applicable(self, reason: object) -> NoReturn:
        """Save what there is and end the notebook here: its data cannot answer its question.

        The run goes on: it calls the notebook *not applicable*, and page and index say the
        reason, a sentence.
        """
        self.save()
        raise NotApplicable(str(reason)) from None

    def save(self) -> None:
        """Write everything to ``folder``; raises FileExistsError if it is there for good."""
        if self.folder.exists() and self.output_dir.name != "interactive":
            raise FileExistsError(
                f"{self.folder} exists and only outputs/interactive is overwritten; "
                "choose another output_dir"
            )
        self.output_dir.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{self.notebook}.", dir=self.output_dir))
        notes = self._notes | {"why": self.why}
        contents = dict(self._files)
        contents["metrics.json"] = to_json(self.metrics).encode()
        found = [finding.as_dict() for finding in self._findings]
        contents[FILE] = to_json({"findings": found}).encode()
        contents["session.json"] = to_json(notes).encode()
        try:
            for name, content in contents.items():
                write_bytes(staging / name, content)
            _swap(staging, self.folder)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise

    def _keep(self, name: str, content: bytes) -> None:
        if name in self._files:
            raise ValueError(f"{name} was recorded before; each name is used once")
        self._files[name] = content


def _swap(staging: Path, folder: Path) -> None:
    """Put a finished folder in another's place."""
    umask = os.umask(0)
    os.umask(umask)
    staging.chmod(0o777 & ~umask)  # a temporary folder is private, a result is not
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        folder.replace(old)
        staging.replace(folder)
        shutil.rmtree(old)
    else:
        staging.replace(folder)


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"the name {name!r} may hold letters, digits and _ @ + . - only")
    return name


def _scalar(key: str, value: Any) -> Scalar:
    """Return a metric's value as plain Python that JSON takes; NaN and missing are None."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if math.isinf(value):
            raise ValueError(f"metric {key!r} is infinite; guard the division behind it")
        return None if math.isnan(value) else float(value)
    if type(value).__name__ == "NAType":
        return None
    raise ValueError(f"metric {key!r} is a {type(value).__name__}; it must be one number or text")


def write_table(path: Path, frame: "pd.DataFrame") -> None:
    """Write a table whole or not at all: Parquet where the name ends so, else `safe_csv`."""
    is_parquet = path.suffix == ".parquet"
    write_bytes(path, frame.to_parquet() if is_parquet else safe_csv(frame))


def safe_csv(frame: "pd.DataFrame") -> bytes:
    """Write CSV in which no text, nor any column's name, runs as a formula in a spreadsheet."""
    if not all(name is None for name in frame.index.names):
        frame = frame.reset_index()
    safe = frame.rename(columns=_neutral)
    for position, dtype in enumerate(safe.dtypes):
        if dtype.kind not in "biufcmM":
            column = safe.iloc[:, position]
            safe.isetitem(position, column.map(_neutral, na_action="ignore"))
    return safe.to_csv(index=False, lineterminator="\n").encode()


def _neutral(cell: Any) -> Any:
    """Make text inert in a spreadsheet; a signed number is harmless and stays.

    >>> _neutral("=1+1"), _neutral("-3"), _neutral("plain")
    ("'=1+1", '-3', 'plain')
    """
    if not isinstance(cell, str) or not cell.startswith(FORMULA_STARTS):
        return cell
    return cell if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", cell) else f"'{cell}"
