"""Two public experiments: an A/B test of a game, and the logs of two policies of a shop."""

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
        f"{policy}/{campaign}/{file}.csv"
        for policy in POLICIES
        for campaign in CAMPAIGNS
        for file in (campaign, "item_context")
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
    metrics = ("retention_1", "retention_7", "sum_gamerounds", "rounds_capped_at_3000")
    return ABData(frame, "userid", "version", "gate_30", "gate_40", tuple(map(Metric, metrics)))


@dataclass(frozen=True)
class BanditLog:
    """What was shown (n,), where (from 1), whether it was clicked, and with which probability.

    Row ``a`` of ``items`` holds the features of action ``a``.
    """

    action: np.ndarray
    position: np.ndarray
    reward: np.ndarray
    propensity: np.ndarray
    n_actions: int
    items: pd.DataFrame


def open_bandit(folder: str | Path, policy: str, campaign: str) -> BanditLog:
    """Read a log of Open Bandit (Saito et al., 2021): policy ``random`` or ``bts``, campaign."""
    room = Path(folder) / policy / campaign
    log, items = _read(room / f"{campaign}.csv"), _read(room / "item_context.csv")
    items = items.set_index("item_id").sort_index().filter(like="item_feature")
    chance = "propensity_score" if "propensity_score" in log else "action_prob"
    return BanditLog(
        log["item_id"].to_numpy(np.int64),
        log["position"].to_numpy(np.int64),
        log["click"].to_numpy(np.float64),
        log[chance].to_numpy(np.float64),
        len(items),
        items,
    )


@dataclass(frozen=True)
class Transfer:
    """A policy judged from another's log, beside the click rate in its own.

    ``unsupported`` is the share of (position, item) cells that its own log never shows and
    whose probability is therefore taken as 0.
    """

    result: OffPolicy
    on_policy: Interval
    unsupported: float


def transfer(
    log: BanditLog, target: BanditLog, *, rng: np.random.Generator, clip: float = np.inf
) -> Transfer:
    """Estimate from ``log`` what the policy that wrote ``target`` is worth.

    The logs hold propensities of logged items only, so the target's probabilities are the
    approximation of `position_policy`, made from its own log.
    """
    policy, shown = position_policy(
        target.action, target.position, target.propensity, target.n_actions
    )
    places = np.eye(len(policy))[log.position - 1]
    q = cross_fit(places, log.action, log.reward, log.n_actions, rng=rng)
    logged = log.reward, log.action, log.propensity
    result = evaluate_policy(*logged, policy[log.position - 1], q, clip=clip)
    own = wilson(target.reward.sum(), len(target.reward))
    return Transfer(result, own, float((shown == 0).mean()))
