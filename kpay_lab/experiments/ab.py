"""Did it work? Effects between two arms, their worth in money, and for whom it worked."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats
from tea_tasting.aggr import Aggregates

from kpay_lab.experiments.arms import ABData, Metric, SampleRatio, sample_ratio, varies
from kpay_lab.stats import Interval, holm


@dataclass(frozen=True)
class Effect:
    """Treatment minus control in the metric's own unit; ``p_holm`` is adjusted in its table.

    The interval is absolute: relative ones under-cover for revenue in small samples.
    """

    name: str
    control: float
    treatment: float
    difference: float
    low: float
    high: float
    pvalue: float
    p_holm: float


def effect(data: ABData, metric: Metric, *, level: float = 0.95) -> Effect:
    """Compare one metric by Welch's t-test: d = m₁ − m₀, se² = v₁/n₁ + v₀/n₀.

    v is the variance of a unit, by the delta method for a ratio, less what CUPED explains.
    Raises ValueError if the metric does not vary inside the arms.
    """
    values, arms = metric.values(data.frame), data.arms
    if not varies(data, metric):
        raise ValueError(f"{metric.name} does not vary inside the arms; no test is possible")
    parts = [_aggregates(values[:, rows], metric) for rows in arms]
    (m0, v0), (m1, v1) = (_adjusted(part, parts[0] + parts[1], metric) for part in parts)
    se, d = np.sqrt(v0 + v1), m1 - m0
    df = (v0 + v1) ** 2 / sum(
        v**2 / (part.count() - 1) for v, part in zip((v0, v1), parts, strict=True)
    )
    half, p = special.stdtrit(df, (1 + level) / 2) * se, 2 * special.stdtr(df, -abs(d) / se)
    return Effect(metric.name, *map(float, (m0, m1, d, d - half, d + half, p, p)))


def _adjusted(arm: Aggregates, both: Aggregates, metric: Metric) -> tuple[float, float]:
    """Return an arm's mean and its squared standard error, after CUPED."""
    y, x, c = metric.column, metric.per, metric.covariate
    spread = both.var(c)
    theta = both.ratio_cov(y, x, c, None) / spread if spread else 0.0
    mean = arm.mean(y) / arm.mean(x) - theta * (arm.mean(c) - both.mean(c))
    explained = 2 * theta * arm.ratio_cov(y, x, c, None) - theta**2 * arm.var(c)
    return mean, (arm.ratio_var(y, x) - explained) / arm.count()


def _aggregates(values: np.ndarray, metric: Metric) -> Aggregates:
    names, cov = metric.columns, np.atleast_2d(np.cov(values))
    mean, var = (dict(zip(names, v, strict=True)) for v in (values.mean(axis=1), np.diag(cov)))
    pairs = {(a, b): cov[i, j] for i, a in enumerate(names) for j, b in enumerate(names) if i < j}
    return Aggregates(values.shape[1], mean, var, pairs)


def _with_holm(effects: list[Effect]) -> tuple[Effect, ...]:
    adjusted = holm(np.array([e.pvalue for e in effects]))
    return tuple(replace(e, p_holm=float(p)) for e, p in zip(effects, adjusted, strict=True))


@dataclass(frozen=True)
class ABResult:
    """The sample-ratio check, and one effect a metric."""

    check: SampleRatio
    effects: tuple[Effect, ...]
    level: float


def analyse(data: ABData, *, level: float = 0.95, srm_alpha: float = 0.01) -> ABResult:
    """Check that half of the units are in each arm, then compare every metric (Holm)."""
    check = sample_ratio(*(int(rows.sum()) for rows in data.arms), alpha=srm_alpha)
    effects = _with_holm([effect(data, metric, level=level) for metric in data.metrics])
    return ABResult(check, effects, level)


@dataclass(frozen=True)
class Verdict:
    """A sentence for who decides, and the money with its interval; None if blocked."""

    sentence: str
    worth: Interval | None


def verdict(result: ABResult, name: str, *, value_per_unit: float, n_units: int) -> Verdict:
    """Say what to do about a metric and what it is worth: d · value per unit · units.

    ``value_per_unit`` is the money that one more of the metric is worth (1 if it is money),
    ``n_units`` how many units the decision reaches. A failed sample ratio blocks the verdict.
    """
    if not result.check.passed:
        return Verdict(f"No verdict. {result.check.sentence()}", None)
    found = {e.name: e for e in result.effects}
    if name not in found:
        raise ValueError(f"no metric {name!r} in the result; it has: {', '.join(found)}")
    e, scale = found[name], value_per_unit * n_units
    worth = Interval(e.difference * scale, *sorted((e.low * scale, e.high * scale)))
    finding, advice = "is not shown to change", "Keep testing, or stop."
    if e.p_holm < 1 - result.level:
        finding = "raises" if e.difference > 0 else "lowers"
        advice = "Ship it." if worth.estimate > 0 else "Keep the control."
    sentence = (
        f"The treatment {finding} {name}: difference {e.difference:+.4g}, {result.level:.0%} "
        f"interval {e.low:+.4g} to {e.high:+.4g}, Holm p = {e.p_holm:.2g}. For {n_units:,} units "
        f"that is worth {worth.estimate:+,.0f} ({worth.low:+,.0f} to {worth.high:+,.0f}). {advice}"
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
    effects, left_out = [], []
    for label, frame in data.frame.groupby(segment, observed=True):
        treated = (frame[data.arm] == data.treatment).to_numpy(bool)
        small = min(treated.sum(), (~treated).sum()) < 30
        part = None if small else replace(data, frame=frame, metrics=(metric,))
        if part is None or not varies(part, metric):
            left_out.append(str(label))
        else:
            effects.append(replace(effect(part, metric, level=level), name=str(label)))
    if len(effects) < 2:
        return SegmentEffects(_with_holm(effects), np.nan, tuple(left_out))
    d, width = np.array([(e.difference, e.high - e.low) for e in effects]).T
    weight = (2 * stats.norm.ppf((1 + level) / 2) / width) ** 2
    q = weight @ (d - np.average(d, weights=weight)) ** 2
    return SegmentEffects(_with_holm(effects), stats.chi2.sf(q, len(d) - 1), tuple(left_out))
