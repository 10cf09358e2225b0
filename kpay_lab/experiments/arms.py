"""The units of two arms, the metrics to compare, and whether the arms may be compared at all."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import tea_tasting
from tea_tasting.aggr import Aggregates


@dataclass(frozen=True)
class Metric:
    """The mean of a column over the units of an arm, or the ratio of two.

    Parameters
    ----------
    column : str
        One number a unit; a 0/1 column makes the mean a rate.
    per : str, optional
        Denominator: sum(column) / sum(per), by the delta method (Deng, Knoblich & Lu, 2018).
    covariate : str, optional
        Measured *before* the assignment. CUPED compares Y − θ(X − X̄), θ = cov(X, Y) / var(X),
        which leaves (1 − ρ²) of the variance (Deng, Xu, Kohavi & Walker, 2013).
    """

    column: str
    per: str | None = None
    covariate: str | None = None

    @property
    def name(self) -> str:
        """The name in tables, such as ``sales / visits (CUPED)``."""
        name = self.column
        if self.per:
            name += f" / {self.per}"
        if self.covariate:
            name += " (CUPED)"
        return name

    @property
    def columns(self) -> list[str]:
        """The columns it reads: ``column``, then ``per`` and ``covariate`` where there are any."""
        return [name for name in (self.column, self.per, self.covariate) if name]

    def values(self, frame: pd.DataFrame) -> np.ndarray:
        """Return its columns as rows, in the order of `columns`: (1 to 3, n) float64."""
        columns = (frame[name] for name in self.columns)
        return np.array([column.to_numpy(np.float64, na_value=np.nan) for column in columns])


@dataclass(frozen=True)
class ABData:
    """One row a unit of randomisation, the arm it was given, and the metrics to compare.

    ``unit`` and ``arm`` are columns, ``control`` and ``treatment`` labels of ``arm``. A log
    with several rows a unit goes through `per_unit` first: analysed by exposure, an A/A test
    at 5 % can reject 20 % of the time.

    Raises
    ------
    ValueError
        For an unknown column, a repeated unit, a third arm, an arm with fewer than two
        units, a value that is missing or infinite, or a denominator that sums to 0.
    """

    frame: pd.DataFrame
    unit: str
    arm: str
    control: str
    treatment: str
    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        self._check_columns()
        self._check_units()
        self._check_arms()
        for metric in self.metrics:
            self._check_values(metric)

    def _check_columns(self) -> None:
        names = [self.unit, self.arm]
        for metric in self.metrics:
            names += metric.columns
        for name in names:
            if name not in self.frame:
                present = ", ".join(map(str, self.frame.columns))
                raise ValueError(f"A/B data has no column {name!r}; it has: {present}")

    def _check_units(self) -> None:
        repeated = int(self.frame[self.unit].duplicated().sum())
        if repeated:
            raise ValueError(
                f"{repeated} rows repeat a {self.unit}; analyse by the unit of randomisation: "
                "sum the rows up with per_unit first"
            )

    def _check_arms(self) -> None:
        present = set(self.frame[self.arm].unique())
        compared = {self.control, self.treatment}
        if present - compared or len(compared) < 2:
            raise ValueError(
                f"{self.arm} holds {sorted(map(str, present))}, to compare are {self.control!r} "
                f"and {self.treatment!r}; name two different arms and keep only their rows"
            )
        labels = (self.control, self.treatment)
        for label, rows in zip(labels, self.arms, strict=True):
            if rows.sum() < 2:
                raise ValueError(f"arm {label!r} has {rows.sum()} units; each arm needs 2 or more")

    def _check_values(self, metric: Metric) -> None:
        values = metric.values(self.frame)
        finite = np.isfinite(values).all(axis=0)
        bad = np.flatnonzero(~finite)
        if bad.size:
            raise ValueError(
                f"{metric.name} is missing or infinite in {bad.size} rows, the first is row "
                f"{bad[0] + 1}; fill it (0 for what did not happen) or drop the rows"
            )
        if metric.per is None:
            return
        denominators = [values[1, rows].sum() for rows in self.arms]
        if min(denominators) <= 0:
            raise ValueError(f"{metric.per} sums to 0 in an arm; it cannot be a denominator")

    @property
    def arms(self) -> tuple[np.ndarray, np.ndarray]:
        """Masks of the control and the treated rows, (n,) bool each."""
        arm = self.frame[self.arm]
        control = (arm == self.control).to_numpy(bool)
        treatment = (arm == self.treatment).to_numpy(bool)
        return control, treatment


def varies(data: ABData, metric: Metric) -> bool:
    """Return whether the metric's column differs between units of the same arm."""
    values = metric.values(data.frame)[0]
    return any(np.ptp(values[rows]) > 0 for rows in data.arms)


def per_unit(frame: pd.DataFrame, unit: str, arm: str, columns: list[str]) -> pd.DataFrame:
    """Sum ``columns`` of a log to one row a unit, with its arm.

    >>> log = pd.DataFrame({"user_id": ["a", "a", "b"], "arm": ["x", "x", "y"], "sales": [1, 2, 5]})
    >>> per_unit(log, "user_id", "arm", ["sales"])["sales"].tolist()
    [3, 5]
    """
    units = frame.groupby(unit, sort=False, as_index=False)
    n_arms = units[arm].nunique()[arm]
    crossed = int((n_arms > 1).sum())
    if crossed:
        raise ValueError(f"{crossed} units are in more than one {arm}; repair the log first")
    sums = dict.fromkeys(columns, "sum")
    return units.agg({arm: "first", **sums})


@dataclass(frozen=True)
class SampleRatio:
    """The sizes of the arms, and the p-value of their planned shares.

    A small p-value means that units are missing, and seldom at random.
    """

    n_control: int
    n_treatment: int
    pvalue: float
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether the arms may be compared."""
        return self.pvalue >= self.alpha

    def sentence(self) -> str:
        """State the verdict at ``alpha`` and at 0.001, and what follows."""
        sizes = f"{self.n_control:,} : {self.n_treatment:,}"
        outcomes = f"{self._outcome(self.alpha)} and {self._outcome(0.001)}"
        if self.passed:
            advice = "The arms may be compared."
        else:
            advice = (
                "Differences are description only: first find why units are missing "
                "(assignment, redirects, logging, bots), then run the test again."
            )
        return f"Sample ratio {sizes}, p = {self.pvalue:.2g}: {outcomes}. {advice}"

    def _outcome(self, alpha: float) -> str:
        verb = "passes" if self.pvalue >= alpha else "fails"
        return f"{verb} at {alpha:g}"


def sample_ratio(
    n_control: int, n_treatment: int, *, treatment_share: float = 0.5, alpha: float = 0.01
) -> SampleRatio:
    """Check the sizes of the arms: exact binomial test below 1,000 units, else χ².

    >>> sample_ratio(44_700, 45_489).sentence()[:69]
    'Sample ratio 44,700 : 45,489, p = 0.0086: fails at 0.01 and passes at'
    """
    sizes = {"control": Aggregates(n_control), "treatment": Aggregates(n_treatment)}
    planned_ratio = treatment_share / (1 - treatment_share)
    check = tea_tasting.SampleRatio(planned_ratio, correction=False)
    found = check.analyze(sizes, "control", "treatment")
    return SampleRatio(n_control, n_treatment, found.pvalue, alpha)
