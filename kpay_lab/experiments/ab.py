"""Estimate what a treatment changes, what the change is worth, and in which segments."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats
from tea_tasting import RatioOfMeans
from tea_tasting.aggr import Aggregates

from kpay_lab.experiments.arms import ABData, Metric, SampleRatio, sample_ratio, varies
from kpay_lab.stats import Interval, holm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_UNITS_PER_ARM = 30  # of a segment; with fewer its standard error is too uncertain
COLUMNS = ["control", "treatment", "difference", "low", "high", "pvalue"]


def estimate_effect(data: ABData, metric: Metric, *, level: float = 0.95) -> pd.Series:
    """Compare one metric by Welch's t-test: d = m₁ − m₀, se² = v₁/n₁ + v₀/n₀.

    v is the variance of a unit, by the delta method for a ratio, less what CUPED explains. The
    interval is absolute: relative ones under-cover for revenue in small samples.

    Returns
    -------
    Series named after the metric
        control, treatment, difference (treatment − control), low, high, pvalue.

    Raises
    ------
    ValueError
        If the metric does not vary inside the arms.
    """
    if not varies(data, metric):
        raise ValueError(f"{metric.name} does not vary inside the arms; no test is possible")
    values = metric.values(data.frame)
    control_rows, treatment_rows = data.arms
    lift = _lift(values, metric, data.arms)
    denominator = values[1] if metric.per else 1.0
    values[0] += lift * denominator
    control = _aggregates(values[:, control_rows], metric)
    treatment = _aggregates(values[:, treatment_rows], metric)
    test = RatioOfMeans(
        metric.column,
        metric.per,
        metric.covariate,
        equal_var=False,
        use_t=True,
        confidence_level=level,
    )
    found = test.analyze_aggregates(control, treatment)
    numbers = [
        found.control - lift,
        found.treatment - lift,
        found.effect_size,
        found.effect_size_ci_lower,
        found.effect_size_ci_upper,
        found.pvalue,
    ]
    return pd.Series(numbers, COLUMNS, dtype=np.float64, name=metric.name)


def _lift(values: np.ndarray, metric: Metric, arms: tuple[np.ndarray, np.ndarray]) -> float:
    """Return what to add to the metric of both arms, so that neither is near 0.

    No difference changes by it. But tea-tasting makes a relative interval too, which overflows
    where an arm's mean is much smaller than its standard error.
    """
    largest = np.abs(values[0]).max()
    if not metric.per:
        return 2 * largest
    denominators = [values[1, rows].mean() for rows in arms]
    return 2 * largest / min(denominators)


def _aggregates(values: np.ndarray, metric: Metric) -> Aggregates:
    """Return the moments of an arm, from `Metric.values` of its units: (n_columns, n_units)."""
    names = metric.columns
    covariance = np.atleast_2d(np.cov(values))
    means = dict(zip(names, values.mean(axis=1), strict=True))
    variances = dict(zip(names, np.diag(covariance), strict=True))
    covariances = {}
    for (i, first), (j, second) in combinations(enumerate(names), 2):
        covariances[first, second] = covariance[i, j]
    return Aggregates(values.shape[1], means, variances, covariances)


def _with_holm(effects: list[pd.Series]) -> pd.DataFrame:
    """Put effects that are reported together below each other and adjust their p-values."""
    table = pd.DataFrame(effects, columns=COLUMNS).rename_axis("name")
    return table.assign(p_holm=holm(table["pvalue"].to_numpy()))


@dataclass(frozen=True)
class ABResult:
    """What a test found.

    Parameters
    ----------
    check : SampleRatio
        Whether the arms may be compared at all.
    effects : DataFrame, index name
        Of each metric what `estimate_effect` gives, and ``p_holm``, adjusted for all of them.
    level : float
        Confidence level of the intervals.
    """

    check: SampleRatio
    effects: pd.DataFrame
    level: float

    def table(self) -> pd.DataFrame:
        """Return the effects, a row a metric."""
        return self.effects

    def plot(self, *, title: str = "") -> "Figure":
        """Draw the interval of each effect; grey ones hold 0.

        It has a panel a metric, for each metric has a unit of its own.
        """
        from kpay_lab.plots import new_figure, plot_intervals  # matplotlib is slow to import

        height = 0.75 if len(self.effects) > 1 else 1.2
        fig, axes = new_figure(len(self.effects), 1, height=height)
        for ax, name in zip(axes, self.effects.index, strict=True):
            plot_intervals(self.effects.loc[[name]], "difference", ax=ax, zero=True)
        axes[0].set_title(title)
        axes[-1].set_xlabel("treatment − control, with its interval")
        return fig

    def worth(self, name: str, *, value_per_unit: float, n_units: int) -> Interval | None:
        """Return the money that a metric's change brings: d · value per unit · units.

        ``value_per_unit`` is the money that one more of the metric is worth (1 if it is money),
        ``n_units`` how many units the decision reaches. None after a failed sample ratio.
        """
        if not self.check.passed:
            return None
        effect = self._effect(name)
        scale = value_per_unit * n_units
        low, high = sorted((effect["low"] * scale, effect["high"] * scale))
        return Interval(effect["difference"] * scale, low, high)

    def verdict(self, name: str, *, value_per_unit: float, n_units: int) -> str:
        """Say what to do about a metric, and what it is `worth`.

        A failed sample ratio blocks the verdict.
        """
        worth = self.worth(name, value_per_unit=value_per_unit, n_units=n_units)
        if worth is None:
            return f"No verdict. {self.check.sentence()}"
        effect = self._effect(name)
        if effect["p_holm"] >= 1 - self.level:
            conclusion = "is not shown to change"
            advice = "Keep testing, or stop."
        else:
            conclusion = "raises" if effect["difference"] > 0 else "lowers"
            advice = "Ship it." if worth.estimate > 0 else "Keep the control."
        return (
            f"The treatment {conclusion} {name}: difference {effect['difference']:+.4g}, "
            f"{self.level:.0%} interval {effect['low']:+.4g} to {effect['high']:+.4g}, "
            f"Holm p = {effect['p_holm']:.2g}. For {n_units:,} units that is worth "
            f"{worth.estimate:+,.0f} ({worth.low:+,.0f} to {worth.high:+,.0f}). {advice}"
        )

    def _effect(self, name: str) -> pd.Series:
        if name not in self.effects.index:
            known = ", ".join(self.effects.index)
            raise ValueError(f"no metric {name!r} in the result; it has: {known}")
        return self.effects.loc[name]


def analyse(data: ABData, *, level: float = 0.95, srm_alpha: float = 0.01) -> ABResult:
    """Check that half of the units are in each arm, then compare every metric (Holm)."""
    control, treatment = data.arms
    check = sample_ratio(int(control.sum()), int(treatment.sum()), alpha=srm_alpha)
    effects = [estimate_effect(data, metric, level=level) for metric in data.metrics]
    return ABResult(check, _with_holm(effects), level)


def effects_by_segment(
    data: ABData, metric: Metric, segment: str, *, level: float = 0.95
) -> pd.DataFrame:
    """Compare a metric inside each segment; ``p_holm`` is adjusted over the segments.

    Segments must be known before the assignment. Those with fewer than 30 units in an arm, or
    without variation, are rows of NaN.

    Returns
    -------
    DataFrame, index name
        A row a segment, with the columns of `ABResult.effects`.
    """
    effects = []
    names = []
    for label, frame in data.frame.groupby(segment, observed=True):
        name = str(label)
        names.append(name)
        part = _segment_data(data, metric, frame)
        if part is not None:
            effect = estimate_effect(part, metric, level=level)
            effects.append(effect.rename(name))
    return _with_holm(effects).reindex(names)


def _segment_data(data: ABData, metric: Metric, frame: pd.DataFrame) -> ABData | None:
    """Return the A/B data of one segment's rows; None if they allow no test."""
    treated = (frame[data.arm] == data.treatment).to_numpy(bool)
    if min(treated.sum(), (~treated).sum()) < MIN_UNITS_PER_ARM:
        return None
    part = replace(data, frame=frame, metrics=(metric,))
    return part if varies(part, metric) else None


def interaction_pvalue(effects: pd.DataFrame, *, level: float = 0.95) -> float:
    """Test whether the effects of `effects_by_segment` differ at all; NaN for fewer than two.

    Q = Σ (d_s − d̄)² / se_s² is χ² with (segments − 1) degrees of freedom if the effect is the
    same everywhere (Cochran, 1954). ``level`` is that of the intervals, which hold se_s.
    """
    known = effects.dropna()
    if len(known) < 2:
        return np.nan
    differences = known["difference"].to_numpy()
    widths = (known["high"] - known["low"]).to_numpy()
    z = stats.norm.ppf((1 + level) / 2)
    weights = (2 * z / widths) ** 2  # 1 / se²
    mean = np.average(differences, weights=weights)
    q = weights @ (differences - mean) ** 2
    return float(stats.chi2.sf(q, len(known) - 1))
