"""The units of the arms, the metrics to compare, and whether the arms may be compared at all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from kpay_lab.data.money import gross_profit
from kpay_lab.findings import Finding

PROFIT = "profit"  # the column of what a unit earns us


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

    Raises
    ------
    ValueError
        If a metric is its own denominator or covariate.
    """

    column: str
    per: str | None = None
    covariate: str | None = None

    def __post_init__(self) -> None:
        if self.per == self.column:
            raise ValueError(f"{self.column} is its own denominator, and so always 1")
        if self.covariate == self.column:
            raise ValueError(
                f"{self.column} is its own covariate; CUPED needs a column that was measured "
                "before the assignment"
            )

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

    ``unit`` and ``arm`` are columns; ``control`` and each of ``treatments`` is a label of
    ``arm``. A log with several rows a unit goes through `per_unit` first: analysed by exposure,
    an A/A test at 5 % can reject 20 % of the time.

    Raises
    ------
    ValueError
        For an unknown column, a repeated unit, an arm that is not named, one with fewer than
        two units, a value that is missing or infinite, or a denominator that sums to 0.
    """

    frame: pd.DataFrame
    unit: str
    arm: str
    control: str
    treatments: tuple[str, ...]
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
        compared = {self.control, *self.treatments}
        if present - compared or len(compared) < len(self.labels) or not self.treatments:
            labels = ", ".join(map(repr, self.labels))
            raise ValueError(
                f"{self.arm} holds {sorted(map(str, present))}, to compare are {labels}; name "
                "different arms and keep only their rows"
            )
        for label, n_units in self.sizes.items():
            if n_units < 2:
                raise ValueError(f"arm {label!r} has {n_units} units; each arm needs 2 or more")

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
        arm = self.frame[self.arm].to_numpy()
        denominators = [values[1, arm == label].sum() for label in self.labels]
        if min(denominators) <= 0:
            raise ValueError(f"{metric.per} sums to 0 in an arm; it cannot be a denominator")

    def plain_metric(self, name: str) -> Metric:
        """Return the mean of the column that a metric is made of, or the first of the metrics.

        The first stands in where that mean is not among them, as of a ratio's numerator.
        """
        columns = {metric.name: metric.column for metric in self.metrics}
        mean = Metric(columns.get(name, ""))
        return mean if mean in self.metrics else self.metrics[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The arms, the control first."""
        return (self.control, *self.treatments)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of units of each arm, the control first."""
        arm = self.frame[self.arm]
        return {label: int((arm == label).sum()) for label in self.labels}

    def pairs(self) -> list["ABData"]:
        """Return each treatment with the control, as A/B data of two arms."""
        pairs = []
        for treatment in self.treatments:
            rows = self.frame[self.arm].isin([self.control, treatment])
            pairs.append(replace(self, frame=self.frame[rows], treatments=(treatment,)))
        return pairs

    @property
    def treatment(self) -> str:
        """The label of the treated arm, where there is one.

        Raises
        ------
        ValueError
            If there are several.
        """
        if len(self.treatments) > 1:
            raise ValueError(f"there are {len(self.labels)} arms; compare them pair by pair")
        return self.treatments[0]

    @property
    def arms(self) -> tuple[np.ndarray, np.ndarray]:
        """Masks of the control and the treated rows of two arms, (n,) bool each."""
        arm = self.frame[self.arm]
        control = (arm == self.control).to_numpy(bool)
        treatment = (arm == self.treatment).to_numpy(bool)
        return control, treatment


def with_profit(data: ABData, revenue: str, *, margin: float, coupon_price: float = 1.0) -> ABData:
    """Compare what a unit earns us in place of what it paid.

    The column ``profit`` is the `gross_profit` of the revenue, in which every treated unit pays
    ``coupon_price`` of a price; metrics of the revenue become metrics of the profit. Covariates
    stay: what a unit paid before tells as much of its profit.

    Raises
    ------
    ValueError
        If no metric is made of the revenue, or there is a column of this name already.
    """
    columns = [metric.column for metric in data.metrics]
    if revenue not in columns:
        made_of = ", ".join(dict.fromkeys(columns))
        raise ValueError(f"no metric is made of {revenue!r}; they are made of: {made_of}")
    if PROFIT in data.frame:
        raise ValueError(
            f"there is a column {PROFIT} already; leave it out, or compare it as it is"
        )
    is_treated = (data.frame[data.arm] != data.control).to_numpy()
    paid = data.frame[revenue].to_numpy(np.float64)
    profit = gross_profit(paid, margin, has_coupon=is_treated, coupon_price=coupon_price)
    metrics = []
    for metric in data.metrics:
        is_money = metric.column == revenue
        metrics.append(replace(metric, column=PROFIT) if is_money else metric)
    frame = data.frame.assign(**{PROFIT: profit})
    return replace(data, frame=frame, metrics=tuple(metrics))


def varies(data: ABData, metric: Metric) -> bool:
    """Return whether the metric differs between units of the same arm."""
    values = metric.values(data.frame)
    return any(_differs(values[:, rows], metric) for rows in data.arms)


def _differs(values: np.ndarray, metric: Metric) -> bool:
    """Whether the units of an arm differ; of a ratio, whether their own ratios do."""
    numerator = values[0]
    if metric.per is None:
        return bool(np.ptp(numerator) > 0)
    denominator = values[1]
    expected = numerator.sum() / denominator.sum() * denominator
    rounding_error = 1e-12 * np.abs(numerator).max()
    return bool(np.abs(numerator - expected).max() > rounding_error)


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
    """The sizes of the arms, their planned shares (of 1), and the p-value of these shares.

    A small p-value means that units are missing, and seldom at random.
    """

    sizes: dict[str, int]
    planned_shares: dict[str, float]
    pvalue: float
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether the arms may be compared."""
        return self.pvalue >= self.alpha

    def sentence(self) -> str:
        """State the verdict at ``alpha`` and at 0.001, and what follows."""
        sizes = " : ".join(f"{size:,}" for size in self.sizes.values())
        if len(set(self.planned_shares.values())) > 1:
            planned = " : ".join(f"{share * 100:.3g}" for share in self.planned_shares.values())
            sizes += f", planned {planned}"
        outcomes = f"{self._outcome(self.alpha)} and {self._outcome(0.001)}"
        if self.passed:
            advice = "The arms may be compared."
        else:
            advice = (
                "Differences are description only: first find why units are missing "
                "(assignment, redirects, logging, bots), then run the test again."
            )
        return f"Sample ratio {sizes}, p = {self.pvalue:.2g}: {outcomes}. {advice}"

    def finding(self) -> Finding:
        """Return that the arms have their sizes; a failed check speaks through the result."""
        sizes = [f"{size:,} {arm}" for arm, size in self.sizes.items()]
        level = "good" if self.passed else "bad"
        values = {"sizes": sizes, "p": self.pvalue, "is_planned": self.passed}
        return Finding("experiment/sizes", level, values)

    def _outcome(self, alpha: float) -> str:
        verb = "passes" if self.pvalue >= alpha else "fails"
        return f"{verb} at {alpha:g}"


def sample_ratio(
    sizes: Mapping[str, int],
    planned_shares: Mapping[str, float] | None = None,
    *,
    alpha: float = 0.01,
) -> SampleRatio:
    """Check the sizes of the arms against their planned shares.

    By χ²; two arms of fewer than 1,000 units by an exact binomial test.

    Parameters
    ----------
    sizes : mapping
        Units of each arm, the control first.
    planned_shares : mapping, optional
        Share of each arm, or any numbers in that proportion; equal shares unless given.

    Raises
    ------
    ValueError
        If the shares are those of other arms, or one is not above 0.

    >>> sample_ratio({"gate_30": 44_700, "gate_40": 45_489}).sentence()[:69]
    'Sample ratio 44,700 : 45,489, p = 0.0086: fails at 0.01 and passes at'
    >>> sample_ratio({"old": 9_012, "new": 988}, {"old": 90, "new": 10}).sentence()[:51]
    'Sample ratio 9,012 : 988, planned 90 : 10, p = 0.69'
    """
    import tea_tasting  # here, for it is slow to import, as is scipy.stats
    from scipy.stats import chisquare

    shares = _shares_of_arms(planned_shares or dict.fromkeys(sizes, 1.0), list(sizes))
    if len(sizes) > 2:
        n_units = sum(sizes.values())
        expected = [share * n_units for share in shares.values()]
        pvalue = float(chisquare(list(sizes.values()), expected).pvalue)
        return SampleRatio(dict(sizes), shares, pvalue, alpha)
    control, treatment = sizes
    check = tea_tasting.SampleRatio(shares[treatment] / shares[control], correction=False)
    counts = {label: tea_tasting.aggr.Aggregates(size) for label, size in sizes.items()}
    found = check.analyze(counts, control, treatment)
    return SampleRatio(dict(sizes), shares, found.pvalue, alpha)


def _shares_of_arms(planned: Mapping[str, float], arms: list[str]) -> dict[str, float]:
    """Return the planned share of each arm, scaled to add up to 1."""
    if set(planned) != set(arms):
        raise ValueError(
            f"planned_shares names {', '.join(planned)}, but the arms are {', '.join(arms)}; give "
            "each a share"
        )
    for arm in arms:
        if not 0 < planned[arm] < np.inf:
            raise ValueError(
                f"planned_shares gives {arm} {planned[arm]:g}; a share must be above 0"
            )
    total = sum(planned.values())
    return {arm: planned[arm] / total for arm in arms}


OUTLIER = 3.0  # times the value that all but one unit in a thousand do not exceed
LARGE_SHARE = 0.05  # of a total, in one unit


def heavy_units(data: ABData) -> pd.DataFrame:
    """Return how much of each total a few units hold.

    Returns
    -------
    DataFrame, index metric
        ``largest`` value of a unit, the ``99.9 %`` quantile, and the shares of the total
        ``all in one unit`` and ``all in the top 1 %``, NaN where a value is below 0 or all are 0.
    """
    plain = [metric for metric in data.metrics if metric.per is None and metric.covariate is None]
    names = [metric.column for metric in plain]
    values = data.frame[names].astype(float)
    n_top = max(1, len(values) // 100)
    top = pd.Series({name: values[name].nlargest(n_top).sum() for name in names}, dtype=float)
    has_shares = (values.min() >= 0) & (values.sum() > 0)
    total = values.sum().where(has_shares)
    columns = {
        "largest": values.max(),
        "99.9 %": values.quantile(0.999),
        "all in one unit": values.max() / total,
        "all in the top 1 %": top / total,
    }
    return pd.DataFrame(columns).rename_axis("metric")


def heavy_findings(heavy: pd.DataFrame, n_units: int) -> list[Finding]:
    """Return whether one unit stands apart, of the metric with the largest share in one unit."""
    shares = heavy["all in one unit"].dropna()
    if shares.empty:
        return []
    metric = shares.idxmax()
    largest, bound, share, share_of_top = heavy.loc[metric]
    is_large = share > max(LARGE_SHARE, 10 / n_units)
    stands_apart = bool(largest > OUTLIER * bound or is_large)
    values = {
        "metric": metric,
        "stands_apart": stands_apart,
        "largest": largest,
        "share": share,
        "common": 0.999,
        "bound": bound,
        "top": 0.01,
        "share_of_top": share_of_top,
    }
    level = "watch" if stands_apart else "good"
    return [Finding("experiment/heavy", level, values, place="heavy_units")]
