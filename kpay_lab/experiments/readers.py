"""Readers of two public data sets: an A/B test of a game, and the logs of a shop's policies."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.experiments.arms import ABData, Metric
from kpay_lab.experiments.ope import OffPolicy, cross_fit, evaluate_policy, position_policy
from kpay_lab.stats import Interval, wilson

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
    frame = _read(Path(folder) / "cookie_cats.csv").astype({"userid": str})
    frame["rounds_capped_at_3000"] = frame["sum_gamerounds"].clip(upper=3000)
    names = ("retention_1", "retention_7", "sum_gamerounds", "rounds_capped_at_3000")
    metrics = tuple(Metric(name) for name in names)
    return ABData(frame, "userid", "version", "gate_30", "gate_40", metrics)


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
    position_index = log.position - 1
    position_indicators = np.eye(len(policy_by_position))[position_index]
    predicted = cross_fit(position_indicators, log.action, log.reward, log.n_actions, rng=rng)
    probabilities = policy_by_position[position_index]
    return evaluate_policy(
        log.reward, log.action, log.propensity, probabilities, predicted, clip=clip
    )
