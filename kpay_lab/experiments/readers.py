"""Readers of two public data sets: an A/B test of a game, and the logs of a shop's policies."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from kpay_lab.experiments.ab_files import read_ab_test
from kpay_lab.experiments.arms import ABData, Metric
from kpay_lab.experiments.checking import check_marks, check_positions, check_propensity
from kpay_lab.experiments.ope import PER, OffPolicy, cross_fit, evaluate_policy, position_policy
from kpay_lab.findings import Finding
from kpay_lab.stats import Interval, holm, wilson

POLICIES = ("random", "bts")
CAMPAIGNS = ("men", "women")
FILES = {
    "cookie_cats": ("cookie_cats.csv",),
    "open_bandit": tuple(
        f"{policy}/{campaign}/{name}.csv"
        for policy in POLICIES
        for campaign in CAMPAIGNS
        for name in (campaign, "item_context")
    ),
}


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; fetch the data set and name its folder")
    return pd.read_csv(path)


def cookie_cats(folder: str | Path) -> ABData:
    """Read the Cookie Cats test: a gate at level 30 (control) or 40; one row a player.

    Rounds are compared as they are and, beside it, capped at 3,000: one player of the control
    arm has 49,854, the next 2,961. The arms, 44,700 and 45,489, fail the sample-ratio check.
    """
    data = read_ab_test(
        Path(folder) / "cookie_cats.csv",
        unit="userid",
        arm="version",
        control="gate_30",
        metrics=["retention_1", "retention_7", "sum_gamerounds"],
    )
    capped = data.frame["sum_gamerounds"].clip(upper=3000)
    frame = data.frame.assign(rounds_capped_at_3000=capped)
    metrics = (*data.metrics, Metric("rounds_capped_at_3000"))
    return replace(data, frame=frame, metrics=metrics)


@dataclass(frozen=True)
class BanditLog:
    """Of each row the action (n,), its position (from 1), its reward (a click) and propensity.

    An action is an item; row ``a`` of ``items`` holds the features of action ``a``.
    """

    action: np.ndarray
    position: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray
    n_actions: int
    items: pd.DataFrame

    def click_rate(self) -> Interval:
        """Return the mean reward of the policy that wrote the log, with its 95 % interval."""
        return wilson(int(self.reward.sum()), len(self.reward))

    def policy(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the `position_policy` of the log, and how often it shows each cell."""
        return position_policy(self.action, self.position, self.propensity, self.n_actions)

    def unsupported_share(self) -> float:
        """Share of (position, item) cells never shown, whose probability is taken as 0."""
        _, n_logged = self.policy()
        return float((n_logged == 0).mean())


def open_bandit(folder: str | Path, policy: str, campaign: str) -> BanditLog:
    """Read a log of Open Bandit (Saito et al., 2021): policy ``random`` or ``bts``, campaign."""
    log_folder = Path(folder) / policy / campaign
    log = _read(log_folder / f"{campaign}.csv")
    context = _read(log_folder / "item_context.csv").set_index("item_id").sort_index()
    items = context.filter(like="item_feature")
    propensity = "propensity_score" if "propensity_score" in log else "action_prob"
    file = f"{campaign}.csv"
    for name in ("item_id", "position", "click", propensity):
        if name not in log:
            raise ValueError(f"{file} has no column {name}; it has: {', '.join(log)}")
    check_positions("item_id", log["item_id"], 0, len(items) - 1, file=file)
    check_positions("position", log["position"], 1, file=file)
    check_marks("click", log["click"], file=file)
    check_propensity(propensity, log[propensity], file=file)
    return BanditLog(
        action=log["item_id"].to_numpy(np.int64),
        position=log["position"].to_numpy(np.int64),
        reward=log["click"].to_numpy(np.float64),
        propensity=log[propensity].to_numpy(np.float64),
        n_actions=len(items),
        items=items,
    )


def off_policy(
    log: BanditLog, target: BanditLog, *, rng: np.random.Generator, clip: float = np.inf
) -> OffPolicy:
    """Estimate from ``log`` the value of the policy that wrote ``target``.

    The logs hold propensities of logged items only, so the target's probabilities are the
    approximation of `position_policy`, made from its own log; the context is the position in
    the list and nothing else. Hold the result against the target's own `BanditLog.click_rate`.
    """
    policy_by_position, _ = target.policy()
    never_filled = np.setdiff1d(log.position, target.position)
    if never_filled.size:
        raise ValueError(
            f"position holds {never_filled[0]}, which the target's log never fills; its policy "
            "is not known there: leave such rows out"
        )
    position_index = log.position - 1
    position_indicators = np.eye(len(policy_by_position))[position_index]
    predicted = cross_fit(position_indicators, log.action, log.reward, log.n_actions, rng=rng)
    probabilities = policy_by_position[position_index]
    return evaluate_policy(
        log.reward, log.action, log.propensity, probabilities, predicted, clip=clip
    )


def click_rate_findings(pairs: Mapping[str, tuple[BanditLog, BanditLog]]) -> list[Finding]:
    """Return whether ``bts`` is clicked more than ``random``, each in its own log.

    Parameters
    ----------
    pairs : mapping
        Campaign → logs of ``random`` and of ``bts``; p-values are adjusted for all campaigns.
    """
    differences = {name: _difference_of_rates(random, bts) for name, (random, bts) in pairs.items()}
    pvalues = np.array([pvalue for _, pvalue in differences.values()])
    found = []
    for (campaign, (difference, _)), p in zip(differences.items(), holm(pvalues), strict=True):
        random, bts = pairs[campaign]
        n_clicks = int(random.reward.sum() + bts.reward.sum())
        ends = {"low": PER * difference.low, "high": PER * difference.high}
        values = {"campaign": campaign, "difference": PER * difference.estimate, "per": PER}
        values |= {"p": p, "is_shown": p < 0.05}
        values |= {"n_clicks": n_clicks, "n_tests": len(pairs)}
        found.append(Finding("policies/own_logs", "plain", values | ends, place="open_bandit"))
    return found


def _difference_of_rates(random: BanditLog, bts: BanditLog) -> tuple[Interval, float]:
    """Return the click rate of bts less that of random, with its interval and p-value."""
    difference = float(bts.reward.mean() - random.reward.mean())
    variance_of_bts = bts.reward.var() / len(bts.reward)
    variance_of_random = random.reward.var() / len(random.reward)
    se = float(np.sqrt(variance_of_bts + variance_of_random))
    margin = float(ndtri(0.975) * se)
    interval = Interval(difference, difference - margin, difference + margin)
    if difference == 0:
        return interval, 1.0
    return interval, float(2 * ndtr(-abs(difference) / se))


def other_log_findings(
    estimates: Mapping[str, OffPolicy], own: Mapping[str, Interval]
) -> list[Finding]:
    """Return in how many estimates from the other log DR's interval holds the own click rate."""
    if not estimates:
        return []
    n_inside = 0
    for name, result in estimates.items():
        low, high = result.estimates.loc["DR", ["low", "high"]]
        n_inside += bool(low <= own[name].estimate <= high)
    smallest = min(estimates, key=lambda name: estimates[name].ess)
    values = {
        "n": len(estimates),
        "n_inside": n_inside,
        "smallest": smallest,
        "ess": estimates[smallest].ess,
        "n_rows": estimates[smallest].n_rows,
    }
    return [Finding("policies/other_log", "watch", values, place="open_bandit")]
