"""Gifts in live sessions: how many people give, and how much of the money is that of a few."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kpay_lab.findings import Finding
from kpay_lab.live.sessions import LiveSessions
from kpay_lab.stats import gini

TOP = 0.01


@dataclass(frozen=True)
class Gifts:
    """The gifts of the people of live sessions.

    Parameters
    ----------
    by_giver : Series
        What each person gave in all, the largest first; without names.
    amounts : Series
        Each gift.
    n_people : int
        Everybody who entered a session.
    """

    by_giver: pd.Series
    amounts: pd.Series
    n_people: int

    @property
    def share_of_top(self) -> float:
        """The share of all money that the top 1 % of givers gave, at least one of them."""
        n_top = int(np.ceil(TOP * len(self.by_giver)))
        return float(self.by_giver.head(n_top).sum() / self.by_giver.sum())

    def table(self) -> pd.DataFrame:
        """Return one row: gifts, givers, what was given, and how unequal it is."""
        n_givers = len(self.by_giver)
        counts = {"gifts": len(self.amounts), "givers": n_givers}
        shares = {"share_of_people": n_givers / self.n_people}
        money = {"amount": self.amounts.sum()}
        money["mean_amount"] = self.amounts.mean()
        money["median_amount"] = self.amounts.median()
        unequal = {"share_of_top_1_percent": self.share_of_top, "gini": gini(self.by_giver)}
        row = {**counts, **shares, **money, **unequal}
        return pd.DataFrame([row], index=pd.Index(["all sessions"], name="gifts of"))

    def findings(self, *, minimum: int, currency: str = "") -> list[Finding]:
        """Return who carries the gifts; nothing where fewer than ``minimum`` people gave any."""
        if len(self.by_giver) < minimum:
            return []
        values: dict[str, Any] = {"n_givers": len(self.by_giver), "n_people": self.n_people}
        values |= {"amount": self.amounts.sum(), "currency": currency}
        values |= {"mean": self.amounts.mean(), "median": self.amounts.median()}
        values |= {"share": self.share_of_top, "top": TOP}
        return [Finding("live/gifts", "plain", values, place="gifts")]


def gifts_given(live: LiveSessions) -> Gifts | None:
    """Add up the gifts of each person; None where nobody gave any while a session was live.

    Examples
    --------
    >>> actions = pd.DataFrame({"user_id": ["u", "v", "u"], "action": ["gifts", "gifts", "likes"]})
    >>> visits = pd.DataFrame({"user_id": ["u", "v", "w", "x"]})
    >>> none = pd.DataFrame()
    >>> live = LiveSessions(none, visits, actions.assign(amount=[9.0, 1.0, 0.0]), none, 0)
    >>> gifts_given(live).table()[["givers", "share_of_people", "share_of_top_1_percent"]].values
    array([[2. , 0.5, 0.9]])
    """
    gifts = live.actions[live.actions["action"] == "gifts"]
    if gifts.empty:
        return None
    by_giver = gifts.groupby("user_id")["amount"].sum().sort_values(ascending=False)
    n_people = live.visits["user_id"].nunique()
    return Gifts(by_giver.reset_index(drop=True), gifts["amount"], n_people)
