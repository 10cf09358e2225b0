"""Estimate what a treatment changes, what the change is worth, and in which segments."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats
from tea_tasting import RatioOfMeans
from tea_tasting.aggr import Aggregates

from kpay_lab.experiments.arms import (
    PROFIT,
    ABData,
    Metric,
    SampleRatio,
    sample_ratio,
    varies,
)
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, correlation, holm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_SHARE_LEFT = 1e-9  # of a metric's variance, by a covariate that is no copy of it
MOST_SKEWNESS = 0.3  # of a difference; beyond it Welch's test at 5 % rejects 7 % or more
MIN_UNITS_PER_ARM = 30  # of a segment; with fewer its standard error is too uncertain
BY_CUPED = " (CUPED)"  # at the end of a metric's name
COLUMNS = ["control", "treatment", "difference", "low", "high", "pvalue"]


def estimate_effect(data: ABData, metric: Metric, *, level: float = 0.95) -> pd.Series:
    """Compare one metric of two arms by Welch's t-test: d = m₁ − m₀, se² = v₁/n₁ + v₀/n₀.

    v is the variance of a unit, by the delta method for a ratio, less what CUPED explains. The
    interval is absolute: relative ones under-cover for revenue in small samples.

    Returns
    -------
    Series named after the metric
        control, treatment, difference (treatment − control), low, high, pvalue.

    Raises
    ------
    ValueError
        If the metric does not vary inside the arms, the covariate leaves none of its variance,
        or its numbers are too large for an interval.
    """
    if not varies(data, metric):
        raise ValueError(f"{metric.name} does not vary inside the arms; no test is possible")
    values = metric.values(data.frame)
    control_rows, treatment_rows = data.arms
    if metric.covariate:
        _refuse_copy(values, metric, data.arms)
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
    if not np.isfinite(numbers).all():
        largest = np.abs(values).max()
        raise ValueError(f"{metric.name} has no interval: its values reach {largest:g}; scale them")
    return pd.Series(numbers, COLUMNS, dtype=np.float64, name=metric.name)


def _refuse_copy(values: np.ndarray, metric: Metric, arms: tuple[np.ndarray, np.ndarray]) -> None:
    """Raise ValueError if the covariate explains the metric to the last digit in both arms."""
    outcome = values[0]
    covariate = values[-1]
    correlations = np.array([correlation(outcome[rows], covariate[rows]) for rows in arms])
    shares_left = 1 - correlations[np.isfinite(correlations)] ** 2
    if len(shares_left) and shares_left.max() < LEAST_SHARE_LEFT:
        raise ValueError(
            f"{metric.covariate} explains all of {metric.column}; a covariate is measured before "
            "the assignment and leaves something to test"
        )


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
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows has no interval: refused
        covariance = np.atleast_2d(np.cov(values))
    means = dict(zip(names, values.mean(axis=1), strict=True))
    variances = dict(zip(names, np.diag(covariance), strict=True))
    covariances = {}
    for (i, first), (j, second) in combinations(enumerate(names), 2):
        covariances[first, second] = covariance[i, j]
    return Aggregates(values.shape[1], means, variances, covariances)


def _with_holm(
    effects: list[pd.Series], questions: Sequence[Hashable], stands_for: Sequence[bool]
) -> pd.DataFrame:
    """Put effects that are reported together below each other and adjust their p-values.

    Effects with an equal question (sales with and without CUPED) are one hypothesis of the
    family. One that ``stands_for`` it is counted there; another is adjusted as if it were.
    """
    table = pd.DataFrame(effects, columns=COLUMNS).rename_axis("name")
    pvalues = table["pvalue"].tolist()
    family: dict[Hashable, float] = {}
    for question, pvalue, stands in zip(questions, pvalues, stands_for, strict=True):
        if stands or question not in family:
            family[question] = pvalue
    adjusted = []
    for question, pvalue in zip(questions, pvalues, strict=True):
        with_this = family | {question: pvalue}
        p_holm = holm(np.array([*with_this.values()]))
        adjusted.append(p_holm[list(with_this).index(question)])
    return table.assign(p_holm=adjusted)


@dataclass(frozen=True)
class ABResult:
    """What a test found.

    Parameters
    ----------
    check : SampleRatio
        Whether the arms may be compared at all.
    effects : DataFrame, index name
        Of each metric and treated ``arm`` what `estimate_effect` gives, and ``p_holm``,
        adjusted for all of them; a metric with and without CUPED counts once.
    level : float
        Confidence level of the intervals.
    skewed : mapping of metric to warning
        Metrics too skewed for arms of such unequal size; their p-values and intervals mislead.
    """

    check: SampleRatio
    effects: pd.DataFrame
    level: float
    skewed: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes p-values and intervals doubtful, in words."""
        return tuple(dict.fromkeys(self.skewed.values()))

    def table(self) -> pd.DataFrame:
        """Return the effects, a row a metric and treated arm."""
        return self.effects

    @property
    def treatments(self) -> list[str]:
        """The treated arms."""
        return self.effects["arm"].unique().tolist()

    def plot(self, *, title: str = "") -> "Figure":
        """Draw the interval of each effect; grey ones hold 0.

        It has a panel a metric, for each metric has a unit of its own, and a line an arm.
        """
        from kpay_lab.plots import new_figure, plot_intervals  # matplotlib is slow to import

        names = self.effects.index.unique()
        n_arms = len(self.treatments)
        height = (0.75 if len(names) > 1 else 1.2) * (1 + n_arms) / 2
        fig, axes = new_figure(len(names), 1, height=height)
        for ax, name in zip(axes, names, strict=True):
            of_metric = self.effects.loc[[name]]
            if n_arms > 1:
                of_metric = of_metric.set_axis(name + ", " + of_metric["arm"])
            plot_intervals(of_metric, "difference", ax=ax, zero=True)
        axes[0].set_title(title)
        axes[-1].set_xlabel("treatment − control, with its interval")
        return fig

    def worth(
        self, name: str, *, value_per_unit: float | None, n_units: int, arm: str | None = None
    ) -> Interval | None:
        """Return the profit that a metric's change brings: d · value per unit · units.

        ``value_per_unit`` is the profit that one more of the metric brings (1 if it is profit),
        ``n_units`` how many units the decision reaches; ``arm`` is needed where several were
        treated. None after a failed sample ratio, or where the value is None: not known.
        """
        effect = self._effect(name, arm)
        if not self.check.passed or value_per_unit is None:
            return None
        scale = value_per_unit * n_units
        low, high = sorted((effect["low"] * scale, effect["high"] * scale))
        return Interval(effect["difference"] * scale, low, high)

    def verdict(
        self,
        name: str,
        *,
        value_per_unit: float | None,
        n_units: int,
        arm: str | None = None,
        currency: str = "in the account's currency",
        period: str = "the time of the test",
    ) -> str:
        """Say what to do about a metric, and what it is `worth`, in which currency and time.

        A failed sample ratio blocks the verdict; without a value per unit it has no advice.
        """
        effect = self._effect(name, arm)
        if not self.check.passed:
            return f"No verdict. {self.check.sentence()}"
        worth = self.worth(name, value_per_unit=value_per_unit, n_units=n_units, arm=arm)
        who = "The treatment" if len(self.treatments) == 1 else f"Arm {effect['arm']}"
        is_shown = self._is_shown(effect)
        if not is_shown:
            conclusion = "is not shown to change"
        else:
            conclusion = "raises" if effect["difference"] > 0 else "lowers"
        sentences = [
            f"{who} {conclusion} {name}: difference {effect['difference']:+.4g}, "
            f"{self.level:.0%} interval {effect['low']:+.4g} to {effect['high']:+.4g}, "
            f"Holm p = {effect['p_holm']:.2g}."
        ]
        if worth is not None:
            sentences.append(
                f"For {n_units:,} units that is a profit of {worth.estimate:+,.0f} {currency} "
                f"({worth.low:+,.0f} to {worth.high:+,.0f}) in {period}."
            )
        if name in self.skewed:
            sentences.append(self.skewed[name])
        if not is_shown:
            sentences.append("Keep testing, or stop.")
        elif worth is None:
            sentences.append("What one more is worth is not said, so there is no advice.")
        else:
            sentences.append("Ship it." if worth.estimate > 0 else "Keep the control.")
        return " ".join(sentences)

    def decisive(self, asked: str) -> str:
        """Return the metric that decides: the one asked for, else the profit, else the first.

        Of the latter two the one with less noise, by CUPED, is taken where there is one.
        """
        names = list(self.effects.index)
        for name in (asked, _by_cuped(PROFIT), PROFIT, _by_cuped(names[0])):
            if name in names:
                return name
        return names[0]

    def findings(
        self,
        name: str,
        *,
        value_per_unit: float | None,
        n_units: int,
        currency: str = "",
        period: str = "the time of the test",
    ) -> list[Finding]:
        """Return whether each treatment paid, or what it changed where its worth is not known.

        The parameters are those of `verdict`. Then follow which of several metrics moved and the
        sizes of the arms. After a failed sample ratio that it failed is all there is.
        """
        if not self.check.passed:
            blocked = {"p": self.check.pvalue, "n_arms": len(self.check.sizes)}
            return [Finding("experiment/blocked", "bad", blocked, place="effects")]
        found = []
        for arm in self.treatments:
            worth = self.worth(name, value_per_unit=value_per_unit, n_units=n_units, arm=arm)
            found.append(self._outcome(name, arm, worth, n_units, currency, period))
        if name in self.skewed:
            doubt = {"metric": name, "arm": " and ".join(self.treatments)}
            found.append(Finding("experiment/skewed", "watch", doubt, place="effects"))
        if self._n_questions > 1:
            found.append(self._moved(name))
        return [*found, self.check.finding()]

    def _outcome(
        self, name: str, arm: str, worth: Interval | None, n_units: int, currency: str, period: str
    ) -> Finding:
        """Return what a treatment earned, or what it changed where that is not known."""
        effect = self._effect(name, arm)
        is_shown = self._is_shown(effect)
        said: dict[str, Any] = {"arm": arm, "is_shown": is_shown, "p": effect["p_holm"]}
        said |= {"n_tests": self._n_questions, "level": self.level}
        if worth is None:
            ends = {key: effect[key] for key in ("difference", "low", "high")}
            values = said | ends | {"metric": name}
            return Finding("experiment/effect", "plain", values, place="effects")
        values = said | {"profit": worth.estimate, "low": worth.low, "high": worth.high}
        values |= {"n_units": n_units, "currency": currency, "period": period}
        shown_level = "good" if worth.estimate > 0 else "bad"
        level = shown_level if is_shown else "watch"
        return Finding("experiment/profit", level, values, place="effects")

    def truth_findings(self, name: str, truth: float, *, arm: str | None = None) -> list[Finding]:
        """Return whether a metric's interval holds the true difference; none if it has none."""
        if name not in self.effects.index:
            return []
        effect = self._effect(name, arm)
        values = {key: effect[key] for key in ("difference", "low", "high")}
        values |= {"metric": name, "truth": truth, "level": self.level}
        is_inside = effect["low"] <= truth <= effect["high"]
        level = "good" if is_inside else "watch"
        return [Finding("experiment/truth", level, values, place="effects")]

    def _is_shown(self, effect: pd.Series) -> bool:
        return bool(effect["p_holm"] < 1 - self.level)

    def _moved(self, decisive: str) -> Finding:
        """Return which metrics rose, fell or are not shown to do either.

        Of a metric and its CUPED twin the one that decides is listed, else the latter.
        """
        moved: dict[str, list[str]] = {"up": [], "down": [], "unclear": []}
        several_arms = len(self.treatments) > 1
        for name, effect in self.effects.iterrows():
            if self._twin(str(name), decisive) in self.effects.index:
                continue
            said = f"{name} ({effect['arm']})" if several_arms else str(name)
            direction = "up" if effect["difference"] > 0 else "down"
            moved[direction if self._is_shown(effect) else "unclear"].append(said)
        return Finding("experiment/moved", "plain", moved, place="effects")

    def _twin(self, name: str, decisive: str) -> str:
        """Return the metric that is listed in place of another, where there is one."""
        if name == decisive:
            return ""
        if _by_cuped(decisive) == name:
            return decisive
        return _by_cuped(name)

    @property
    def _n_questions(self) -> int:
        """How many comparisons Holm adjusts for; a metric with and without CUPED is one."""
        metrics = self.effects.index.str.removesuffix(BY_CUPED)
        questions = pd.DataFrame({"metric": metrics, "arm": self.effects["arm"].array})
        return len(questions.drop_duplicates())

    def _effect(self, name: str, arm: str | None) -> pd.Series:
        """Return the effect on a metric of an arm, which may go unsaid where there is one."""
        if name not in self.effects.index:
            known = ", ".join(self.effects.index.unique())
            raise ValueError(f"no metric {name!r} in the result; it has: {known}")
        treatments = ", ".join(self.treatments)
        if arm is None and len(self.treatments) > 1:
            raise ValueError(f"several arms were treated; name the arm: {treatments}")
        if arm is not None and arm not in self.treatments:
            raise ValueError(f"no arm {arm!r} in the result; it has: {treatments}")
        is_of_arm = self.effects["arm"] == (arm or treatments)
        return self.effects[is_of_arm].loc[name]


def _by_cuped(name: str) -> str:
    return f"{name}{BY_CUPED}"


def analyse(
    data: ABData,
    *,
    planned_shares: Mapping[str, float] | None = None,
    level: float = 0.95,
    srm_alpha: float = 0.01,
) -> ABResult:
    """Check the sizes of the arms, then compare every metric of each treatment with the control.

    Parameters
    ----------
    planned_shares : mapping, optional
        The share of units that each arm was to get, as for `sample_ratio`; equal unless given.
    level : float
        Confidence level of the intervals; the p-values of all comparisons are adjusted by Holm.
    srm_alpha : float
        Level of the sample-ratio check.
    """
    check = sample_ratio(data.sizes, planned_shares, alpha=srm_alpha)
    effects = []
    questions = []
    has_less_noise = []
    for pair in data.pairs():
        for metric in data.metrics:
            effects.append(estimate_effect(pair, metric, level=level))
            questions.append((pair.treatment, metric.column, metric.per))
            has_less_noise.append(metric.covariate is not None)
    table = _with_holm(effects, questions, has_less_noise)
    table.insert(0, "arm", np.repeat(data.treatments, len(data.metrics)))
    return ABResult(check, table, level, _skewness_warnings(data))


def _skewness_warnings(data: ABData) -> dict[str, str]:
    """Return a warning for each mean whose difference is too skewed for a t-test in some pair.

    With m₂ and m₃ the moments of all units around the means of their arms, the skewness of a
    difference of means is m₃ (1/n₁² − 1/n₀²) / (m₂ (1/n₁ + 1/n₀))^1.5. It is 0 for arms of equal
    size, however skewed the metric.
    """
    warnings = {}
    for pair in data.pairs():
        n_control, n_treated = pair.sizes.values()
        for metric in pair.metrics:
            if metric.per is None and _skewness(pair, metric.column) > MOST_SKEWNESS:
                warnings[metric.name] = (
                    f"{metric.column} is skewed and the arms are {n_control:,} : {n_treated:,}: "
                    "Welch's p-value and interval mislead. Hold them against shuffled arms "
                    "(permutation_test), or compare its logarithm."
                )
    return warnings


def _skewness(pair: ABData, column: str) -> float:
    """Return the absolute skewness of the difference of an arm's mean from the control's."""
    values = pair.frame[column].to_numpy(np.float64)
    residuals = np.concatenate([values[rows] - values[rows].mean() for rows in pair.arms])
    n_control, n_treated = pair.sizes.values()
    second_moment = np.mean(residuals**2)
    third_moment = np.mean(residuals**3)
    scale = (second_moment * (1 / n_treated + 1 / n_control)) ** 1.5
    return float(abs(third_moment * (1 / n_treated**2 - 1 / n_control**2)) / scale)


def permutation_test(
    data: ABData, column: str, *, rng: np.random.Generator, n_permutations: int = 500
) -> float:
    """Return the p-value of a difference of means among arms that are shuffled by lot.

    p = (1 + #{|shuffled difference| ≥ |difference|}) / (1 + n_permutations). It asks no formula,
    so it holds where `estimate_effect` does not: skewed money in arms of unequal size.

    Parameters
    ----------
    data : ABData
        Of two arms.
    column : str
        One number a unit.
    """
    values = data.frame[column].to_numpy(np.float64)
    control, treatment = data.arms
    n_treated = int(treatment.sum())
    differences = np.empty(n_permutations)
    for number in range(n_permutations):
        shuffled = rng.permutation(values)
        differences[number] = shuffled[:n_treated].mean() - shuffled[n_treated:].mean()
    observed = values[treatment].mean() - values[control].mean()
    n_beyond = (np.abs(differences) >= abs(observed)).sum()
    return float((1 + n_beyond) / (1 + n_permutations))


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
    found = [effect.name for effect in effects]
    return _with_holm(effects, found, [True] * len(found)).reindex(names)


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


def segment_findings(
    by_segment: Mapping[str, pd.DataFrame], metric: str, *, level: float = 0.95
) -> list[Finding]:
    """Return whether the effect differs between segments; p-values are adjusted by Holm.

    Parameters
    ----------
    by_segment : mapping
        The treated arm, or what the segments are of, → `effects_by_segment`. What holds fewer
        than two segments that can be judged is left out.
    """
    judged = {name: effects.dropna() for name, effects in by_segment.items()}
    judged = {name: effects for name, effects in judged.items() if len(effects) > 1}
    pvalues = [interaction_pvalue(effects, level=level) for effects in judged.values()]
    found = []
    for (name, effects), p in zip(judged.items(), holm(np.array(pvalues)), strict=True):
        differences = effects["difference"]
        smallest = differences.idxmin()
        largest = differences.idxmax()
        values = {"arm": name, "metric": metric, "n_segments": len(effects)}
        values |= {"p": p, "is_shown": p < 1 - level}
        values |= {"smallest": smallest, "low": differences[smallest]}
        values |= {"largest": largest, "high": differences[largest]}
        found.append(Finding("experiment/segments", "plain", values, place="segments"))
    return found


def cuped_gains(data: ABData, result: ABResult) -> pd.DataFrame:
    """Return what CUPED spares each metric that has a covariate which differs between units.

    Returns
    -------
    DataFrame, index metric
        ``correlation`` with the covariate; the share of the variance that it is expected to
        leave (``variance_expected``, 1 − ρ²); what it leaves of the first treatment's, by the
        widths of the intervals (``variance_left``); and how many ``more_units`` would do the
        same, as a share.
    """
    of_first_arm = result.effects[result.effects["arm"] == data.treatments[0]]
    width = of_first_arm["high"] - of_first_arm["low"]
    rows = {}
    for metric in data.metrics:
        if not metric.covariate or data.frame[metric.covariate].nunique() < 2:
            continue
        without = replace(metric, covariate=None).name
        left = (width[metric.name] / width[without]) ** 2
        rho = data.frame[metric.column].corr(data.frame[metric.covariate])
        rows[metric.column] = (rho, 1 - rho**2, left, 1 / left - 1)
    columns = ["correlation", "variance_expected", "variance_left", "more_units"]
    gains = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return gains.rename_axis("metric")


def cuped_findings(gains: pd.DataFrame) -> list[Finding]:
    """Return the largest of `cuped_gains`; nothing where there is none."""
    if gains.empty:
        return []
    metric = gains["variance_left"].idxmin()
    gain = gains.loc[metric]
    values = {
        "metric": metric,
        "correlation": gain["correlation"],
        "saved": 1 - gain["variance_left"],
        "more": gain["more_units"],
    }
    return [Finding("experiment/cuped", "plain", values, place="cuped")]
