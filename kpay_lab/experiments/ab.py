"""Estimate what a treatment changes, what the change is worth, and in which segments."""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import special, stats
from tea_tasting.aggr import Aggregates

from kpay_lab.experiments.arms import ABData, Metric, SampleRatio, sample_ratio, varies
from kpay_lab.stats import Interval, holm

MIN_UNITS_PER_ARM = 30  # of a segment; with fewer its standard error is too uncertain


@dataclass(frozen=True)
class Effect:
    """Treatment minus control in the metric's own unit, with its interval and p-values.

    ``p_holm`` is adjusted for all effects that are reported together. The interval is absolute:
    relative ones under-cover for revenue in small samples.
    """

    name: str
    control: float
    treatment: float
    difference: float
    low: float
    high: float
    pvalue: float
    p_holm: float


def estimate_effect(data: ABData, metric: Metric, *, level: float = 0.95) -> Effect:
    """Compare one metric by Welch's t-test: d = m₁ − m₀, se² = v₁/n₁ + v₀/n₀.

    v is the variance of a unit, by the delta method for a ratio, less what CUPED explains.
    Raises ValueError if the metric does not vary inside the arms.
    """
    if not varies(data, metric):
        raise ValueError(f"{metric.name} does not vary inside the arms; no test is possible")
    values = metric.values(data.frame)
    control_rows, treatment_rows = data.arms
    control = _aggregates(values[:, control_rows], metric)
    treatment = _aggregates(values[:, treatment_rows], metric)
    both = control + treatment
    control_mean, control_variance = _adjusted_mean(control, both, metric)
    treatment_mean, treatment_variance = _adjusted_mean(treatment, both, metric)
    difference = float(treatment_mean - control_mean)
    variance = control_variance + treatment_variance
    control_term = control_variance**2 / (control.count() - 1)
    treatment_term = treatment_variance**2 / (treatment.count() - 1)
    df = variance**2 / (control_term + treatment_term)  # Welch and Satterthwaite
    se = np.sqrt(variance)
    margin = float(special.stdtrit(df, (1 + level) / 2) * se)
    pvalue = float(2 * special.stdtr(df, -abs(difference) / se))
    return Effect(
        name=metric.name,
        control=float(control_mean),
        treatment=float(treatment_mean),
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        pvalue=pvalue,
        p_holm=pvalue,
    )


def _adjusted_mean(arm: Aggregates, both: Aggregates, metric: Metric) -> tuple[float, float]:
    """Return an arm's mean and its squared standard error, after CUPED."""
    theta = _cuped_coefficient(both, metric)
    covariate_excess = arm.mean(metric.covariate) - both.mean(metric.covariate)
    mean = arm.mean(metric.column) / arm.mean(metric.per) - theta * covariate_excess
    covariance = arm.ratio_cov(metric.column, metric.per, metric.covariate, None)
    explained = 2 * theta * covariance - theta**2 * arm.var(metric.covariate)
    variance = arm.ratio_var(metric.column, metric.per) - explained
    return mean, variance / arm.count()


def _cuped_coefficient(both: Aggregates, metric: Metric) -> float:
    """Return θ over both arms; 0 without a covariate, or for one that does not vary."""
    variance = both.var(metric.covariate)
    if not variance:
        return 0.0
    covariance = both.ratio_cov(metric.column, metric.per, metric.covariate, None)
    return covariance / variance


def _aggregates(values: np.ndarray, metric: Metric) -> Aggregates:
    """Sum up the metric's columns over the units of an arm; ``values`` has a row a column."""
    names = metric.columns
    covariance = np.atleast_2d(np.cov(values))
    means = dict(zip(names, values.mean(axis=1), strict=True))
    variances = dict(zip(names, np.diag(covariance), strict=True))
    covariances = {}
    for (i, first), (j, second) in combinations(enumerate(names), 2):
        covariances[first, second] = covariance[i, j]
    return Aggregates(values.shape[1], means, variances, covariances)


def _with_holm(effects: list[Effect]) -> tuple[Effect, ...]:
    pvalues = np.array([effect.pvalue for effect in effects])
    adjusted = zip(effects, holm(pvalues), strict=True)
    return tuple(replace(effect, p_holm=float(p_holm)) for effect, p_holm in adjusted)


@dataclass(frozen=True)
class ABResult:
    """The sample-ratio check, and one effect a metric."""

    check: SampleRatio
    effects: tuple[Effect, ...]
    level: float


def analyse(data: ABData, *, level: float = 0.95, srm_alpha: float = 0.01) -> ABResult:
    """Check that half of the units are in each arm, then compare every metric (Holm)."""
    control, treatment = data.arms
    check = sample_ratio(int(control.sum()), int(treatment.sum()), alpha=srm_alpha)
    effects = [estimate_effect(data, metric, level=level) for metric in data.metrics]
    return ABResult(check, _with_holm(effects), level)


@dataclass(frozen=True)
class Verdict:
    """A recommendation in words, and the worth in money with its interval; None if blocked."""

    sentence: str
    worth: Interval | None


def verdict(result: ABResult, name: str, *, value_per_unit: float, n_units: int) -> Verdict:
    """Say what to do about a metric and what it is worth: d · value per unit · units.

    ``value_per_unit`` is the money that one more of the metric is worth (1 if it is money),
    ``n_units`` how many units the decision reaches. A failed sample ratio blocks the verdict.
    """
    if not result.check.passed:
        return Verdict(f"No verdict. {result.check.sentence()}", None)
    effects = {effect.name: effect for effect in result.effects}
    if name not in effects:
        raise ValueError(f"no metric {name!r} in the result; it has: {', '.join(effects)}")
    effect = effects[name]
    scale = value_per_unit * n_units
    low, high = sorted((effect.low * scale, effect.high * scale))
    worth = Interval(effect.difference * scale, low, high)
    if effect.p_holm >= 1 - result.level:
        conclusion = "is not shown to change"
        advice = "Keep testing, or stop."
    else:
        conclusion = "raises" if effect.difference > 0 else "lowers"
        advice = "Ship it." if worth.estimate > 0 else "Keep the control."
    sentence = (
        f"The treatment {conclusion} {name}: difference {effect.difference:+.4g}, "
        f"{result.level:.0%} interval {effect.low:+.4g} to {effect.high:+.4g}, "
        f"Holm p = {effect.p_holm:.2g}. For {n_units:,} units that is worth "
        f"{worth.estimate:+,.0f} ({worth.low:+,.0f} to {worth.high:+,.0f}). {advice}"
    )
    return Verdict(sentence, worth)


@dataclass(frozen=True)
class SegmentEffects:
    """One effect a segment (Holm over segments) and a test of whether they differ at all."""

    effects: tuple[Effect, ...]
    interaction_pvalue: float
    left_out: tuple[str, ...]


def effects_by_segment(
    data: ABData, metric: Metric, segment: str, *, level: float = 0.95
) -> SegmentEffects:
    """Compare a metric inside each segment, and the segments with each other.

    Q = Σ (d_s − d̄)² / se_s² is χ² with (segments − 1) degrees of freedom if the effect is the
    same everywhere (Cochran, 1954). Segments must be known before the assignment; those with
    fewer than 30 units in an arm, or without variation, are left out by name.
    """
    effects: list[Effect] = []
    left_out: list[str] = []
    for label, frame in data.frame.groupby(segment, observed=True):
        name = str(label)
        part = _segment_data(data, metric, frame)
        if part is None:
            left_out.append(name)
        else:
            effect = estimate_effect(part, metric, level=level)
            effects.append(replace(effect, name=name))
    pvalue = _interaction_pvalue(effects, level)
    return SegmentEffects(_with_holm(effects), pvalue, tuple(left_out))


def _segment_data(data: ABData, metric: Metric, frame: pd.DataFrame) -> ABData | None:
    """Return the A/B data of one segment's rows; None if they allow no test."""
    treated = (frame[data.arm] == data.treatment).to_numpy(bool)
    if min(treated.sum(), (~treated).sum()) < MIN_UNITS_PER_ARM:
        return None
    part = replace(data, frame=frame, metrics=(metric,))
    return part if varies(part, metric) else None


def _interaction_pvalue(effects: list[Effect], level: float) -> float:
    """Test whether effects differ by Cochran's Q; NaN for fewer than two."""
    if len(effects) < 2:
        return np.nan
    differences = np.array([effect.difference for effect in effects])
    widths = np.array([effect.high - effect.low for effect in effects])
    z = stats.norm.ppf((1 + level) / 2)
    weights = (2 * z / widths) ** 2  # 1 / se²
    mean = np.average(differences, weights=weights)
    q = weights @ (differences - mean) ** 2
    return float(stats.chi2.sf(q, len(effects) - 1))
