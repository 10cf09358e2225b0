"""Document A's comment model C = A · B, tried on a log: whether it tells who comments."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.findings import Finding
from kpay_lab.interest.totals import pair_totals
from kpay_lab.interest.weighting import InterestWeights, interest_degree
from kpay_lab.stats import Interval

PRODUCT = "A · B"
INTEREST = "A, interest alone"
WATCH_TIME = "B, watch time alone"
LEAKING = "A with comments counted in it"
LEVEL = 0.95


@dataclass(frozen=True)
class CommentTrial:
    """How well the comment model parts the pairs with a comment from those without.

    Parameters
    ----------
    scores : DataFrame, index score
        ``auc, low, high``: the chance that a pair with a comment scores higher than one without.
        Of `LEAKING` it is too good: the comment that is to be told is among its inputs.
    rival : str
        `INTEREST` or `WATCH_TIME`, whichever scores better alone.
    lead : Interval
        How much the product's ROC-AUC lies above the rival's.
    products, commented : arrays (n_pairs,)
        C of each pair, and whether it has a comment.
    """

    scores: pd.DataFrame
    rival: str
    lead: Interval
    products: np.ndarray
    commented: np.ndarray

    def above(self, threshold: float) -> pd.DataFrame:
        """Return how many pairs have C > t and how many of those have a comment, beside all pairs.

        Columns are ``pairs``, ``share`` of all pairs, and ``commented``, a share of these pairs.
        """
        is_above = self.products > threshold
        groups = {"C above the threshold": is_above, "all pairs": np.ones_like(is_above)}
        rows = []
        for members in groups.values():
            n_pairs = members.sum()
            commented = self.commented[members].mean() if n_pairs else np.nan
            rows.append((n_pairs, members.mean(), commented))
        index = pd.Index(groups, name="group")
        return pd.DataFrame(rows, index, ["pairs", "share", "commented"])

    def findings(self) -> list[Finding]:
        """Return whether A · B tells who comments, and whether it takes both A and B."""
        product = self.scores.loc[PRODUCT]
        lead = self.lead
        values = product[["auc", "low", "high"]].to_dict()
        values["rival"] = "interest" if self.rival == INTEREST else "watch time"
        values |= {"lead": lead.estimate, "lead_low": lead.low, "lead_high": lead.high}
        values["n_pairs"] = len(self.products)
        level = "good" if self.lead.low > 0 and product["low"] > 0.5 else "watch"
        return [Finding("comment/product", level, values, place="comment_scores")]


def try_comment_model(tables: Tables) -> CommentTrial:
    """Score each (user, item) pair that met by A · B, and hold it against its comments.

    A is the degree of interest without comments, which are what is to be told; B is the seconds
    watched. Both are of the whole log: it is told apart, not foretold.

    Raises
    ------
    TooLittleError
        If there are no watch times or comments, or fewer than two users, or all pairs are alike.
    """
    events = tables.events
    if "watch_time" not in events or "comment_count" not in events:
        raise TooLittleError("C = A · B needs watch_time and comment_count of the events")
    totals = pair_totals(events)
    has_watch_time = totals.pairs["watch_time"].notna()
    totals = replace(totals, pairs=totals.pairs[has_watch_time])
    pairs = totals.pairs
    commented = (pairs["comment_count"] > 0).to_numpy()
    n_users = pairs["user"].nunique()
    if n_users < 2 or commented.all() or not commented.any():
        raise TooLittleError("C = A · B needs pairs with a comment and pairs without, of two users")
    watch_time = pairs["watch_time"].to_numpy(np.float64)
    interest = interest_degree(totals, InterestWeights(comment=0.0))
    scores = {
        PRODUCT: interest * watch_time,
        INTEREST: interest,
        WATCH_TIME: watch_time,
        LEAKING: interest_degree(totals, InterestWeights()),
    }
    users = pairs["user"].to_numpy()
    aucs = {name: _AUC.of(score, commented, users) for name, score in scores.items()}
    rows = {name: vars(auc.interval()) for name, auc in aucs.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename(columns={"estimate": "auc"})
    rival = max((INTEREST, WATCH_TIME), key=lambda name: aucs[name].value)
    lead = aucs[PRODUCT].above(aucs[rival])
    return CommentTrial(table.rename_axis("score"), rival, lead, scores[PRODUCT], commented)


@dataclass(frozen=True)
class _AUC:
    """The area under the ROC curve, and what each user's pairs add to its error."""

    value: float
    by_user: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, positive: np.ndarray, users: np.ndarray) -> "_AUC":
        """Return it for pairs; those of one user hang together (Obuchowski, 1997)."""
        n_positive = positive.sum()
        n_negative = len(positive) - n_positive
        ranks = rankdata(scores)
        negatives_below = ranks[positive] - rankdata(scores[positive])
        positives_below = ranks[~positive] - rankdata(scores[~positive])
        value = negatives_below.mean() / n_negative
        influence = np.empty(len(scores))
        influence[positive] = (negatives_below / n_negative - value) / n_positive
        influence[~positive] = (1 - positives_below / n_positive - value) / n_negative
        _, user_number = np.unique(users, return_inverse=True)
        return cls(float(value), np.bincount(user_number, weights=influence))

    def interval(self) -> Interval:
        return _interval(self.value, self.by_user)

    def above(self, other: "_AUC") -> Interval:
        return _interval(self.value - other.value, self.by_user - other.by_user)


def _interval(estimate: float, by_user: np.ndarray) -> Interval:
    n_users = len(by_user)
    variance = (by_user**2).sum() * n_users / (n_users - 1)
    half_width = float(norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance))
    return Interval(estimate, estimate - half_width, estimate + half_width)
