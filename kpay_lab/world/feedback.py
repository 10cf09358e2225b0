"""The feedback loop: users react to a model's lists, and the model learns from the reactions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.money import price_with_coupon
from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.beyond import catalogue_coverage, gini, intra_list_diversity, mean_known
from kpay_lab.findings import Finding
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Recommender, Training, largest, top_k
from kpay_lab.stats import Interval, t_interval
from kpay_lab.world.catalogue import DAY
from kpay_lab.world.shop import World, react
from kpay_lab.world.simulate import COUPON_PRICE

MEASURES = {
    "satisfaction": "true interest in what is shown",
    "revenue": "revenue a user, net",
    "coverage": "share of the catalogue shown",
    "gini": "concentration (Gini)",
    "diversity": "pairs in a list that differ",
}
DIVERSITY_LISTS = 50  # diversity is measured on the lists of the first users only


@dataclass(frozen=True)
class Strategy:
    """A model, and the share of places given to items drawn by chance."""

    model: Recommender
    exploration: float = 0.0


def show(
    world: World,
    users: np.ndarray,
    lists: np.ndarray,
    *,
    rng: np.random.Generator,
    owned: np.ndarray | None = None,
    treated: np.ndarray | int = 0,
) -> pd.DataFrame:
    """Show each user a list and play what follows: watch, interact, buy, learn, rate, refund.

    Parameters
    ----------
    users, lists : int arrays (n,), (n, k); items from the first place down, -1 for none
    owned : bool array (n_users, n_items), optional
        Offers a user has already; nobody buys twice. Updated in place. By default none.
    treated : 0/1 array (n,) or scalar
        Who holds a coupon, which lowers the price to `COUPON_PRICE` of it.

    Returns
    -------
    DataFrame
        One row a place: user, item, offer, position, treated, the columns of `shop.react`,
        ``paid`` and ``revenue`` (less refunds).
    """
    if owned is None:
        owned = np.zeros(world.interest.shape, dtype=bool)
    shown = react(world, _places(users, lists, treated), rng)
    shown["offer"] = world.items.offer[shown["item"]]
    is_new_to_user = ~owned[shown["user"], shown["offer"]]
    wanted = shown[shown["purchased"] & is_new_to_user]
    sold = wanted.drop_duplicates(["user", "offer"])
    owned[sold["user"], sold["offer"]] = True
    shown["purchased"] = shown.index.isin(sold.index)
    full_price = world.items.price[shown["item"]]
    has_coupon = shown["treated"].to_numpy()
    price = price_with_coupon(full_price, has_coupon, coupon_price=COUPON_PRICE)
    shown["paid"] = np.where(shown["purchased"], price, 0.0)
    kept_share = 1 - shown["refunded"].fillna(0)
    shown["revenue"] = shown["paid"] * kept_share
    return shown


def _places(users: np.ndarray, lists: np.ndarray, treated: np.ndarray | int) -> pd.DataFrame:
    """Return a row for each place of the lists that holds an item."""
    n_users, k = lists.shape
    positions = np.arange(1, k + 1)
    treated_users = np.broadcast_to(treated, n_users)
    columns = {
        "user": np.repeat(users, k),
        "item": lists.ravel(),
        "position": np.tile(positions, n_users),
        "treated": np.repeat(treated_users, k),
    }
    places = pd.DataFrame(columns).astype(np.int64)
    return places[places["item"] >= 0].reset_index(drop=True)


def play(
    world: World, strategy: Strategy, *, n_rounds: int, k: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Play rounds of recommend → react → learn with one strategy.

    Round 0 shows items by chance, as a new shop must; every later round refits the model on
    all that was seen. What was met may come back, what was bought may not.

    Returns
    -------
    DataFrame
        One row a round: ``satisfaction`` (mean true interest in what was shown), ``revenue``
        (a user, less refunds), ``coverage`` and ``gini`` of the catalogue, and ``diversity``
        (mean share of pairs in a list that differ in category).
    """
    list_rng, user_rng = rng.spawn(2)
    users = np.arange(world.spec.n_users)
    all_items = np.ones(world.spec.n_items, dtype=bool)
    owned = np.zeros(world.interest.shape, dtype=bool)
    random_scores = list_rng.random(owned.shape)
    lists = largest(random_scores, k)
    rounds: list[pd.DataFrame] = []
    measures = []
    for number in range(n_rounds + 1):
        if number > 0:
            history = pd.concat(rounds, ignore_index=True)
            model = strategy.model.fit(_training(world, history))
            bought = csr_array(owned[:, world.items.offer])
            lists = top_k(model, users, k, exclude=bought, candidates=all_items).items
            lists = _explore(lists, strategy.exploration, world.spec.n_items, list_rng)
        shown = show(world, users, lists, rng=user_rng, owned=owned)
        rounds.append(shown.assign(round=number))
        measure = _measure(world, shown, lists)
        measures.append({"round": number, **measure})
    return pd.DataFrame(measures)


def play_all(
    world: World,
    strategies: Mapping[str, Strategy],
    *,
    n_rounds: int,
    k: int,
    n_runs: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Play every strategy ``n_runs`` times; in a run all start from the same first round.

    Columns are those of `play`, then ``strategy`` (its name) and ``run`` (from 0).
    """
    curves = []
    for run, seed in enumerate(rng.integers(2**32, size=n_runs)):
        for name, strategy in strategies.items():
            run_rng = np.random.default_rng(seed)
            curve = play(world, strategy, n_rounds=n_rounds, k=k, rng=run_rng)
            curves.append(curve.assign(strategy=name, run=run))
    return pd.concat(curves, ignore_index=True)


def revenue_lead(curves: pd.DataFrame, strategy: str, other: str) -> tuple[Interval, float]:
    """Return how much more a user brings with one strategy than with another, over all rounds.

    Parameters
    ----------
    curves : DataFrame
        That of `play_all`.

    Returns
    -------
    lead : Interval
        Mean difference of the revenue a user, summed over the rounds in which a strategy chose
        (round 0 is common to all), by Student's interval over the runs.
    other_revenue : float
        What a user brings with the other.
    """
    chosen = curves[curves["round"] > 0]
    in_rounds = chosen.groupby(["run", "strategy"])["revenue"]
    revenue = in_rounds.sum().unstack("strategy")
    difference = revenue[strategy] - revenue[other]
    lead = t_interval(difference.to_numpy())
    return lead, revenue[other].mean()


def loop_findings(
    curves: pd.DataFrame, *, exploring: str, greedy: str, simplest: str, currency: str = ""
) -> list[Finding]:
    """Return what learning and exploring earn in the loop, and how far the catalogue narrows.

    Parameters
    ----------
    curves : DataFrame
        That of `play_all`.
    exploring, greedy, simplest : str
        Strategies: one with places given to chance, the same without, and the one that both
        must beat. A lead without an interval, as between two equal strategies, is left out.
    """
    n_runs = curves["run"].nunique()
    n_rounds = int(curves["round"].max())
    size = {"n_runs": n_runs, "n_rounds": n_rounds, "currency": currency}
    found = []
    lead, revenue = revenue_lead(curves, greedy, simplest)
    if np.isfinite(lead.low) and revenue > 0:
        values = _lead_values(greedy, simplest, lead, revenue) | size
        found.append(Finding("policies/learning", "plain", values, place="feedback"))
    lead, revenue = revenue_lead(curves, exploring, greedy)
    if np.isfinite(lead.low) and revenue > 0:
        values = _lead_values(exploring, greedy, lead, revenue) | size
        found.append(Finding("policies/exploring", "plain", values, place="feedback"))
    return [*found, _narrowing(curves, n_rounds)]


def _lead_values(strategy: str, other: str, lead: Interval, revenue: float) -> dict[str, object]:
    share = abs(lead.estimate) / revenue
    compared = {"strategy": strategy, "other": other, "share": share}
    return compared | {"difference": lead.estimate, "low": lead.low, "high": lead.high}


def _narrowing(curves: pd.DataFrame, n_rounds: int) -> Finding:
    """Return which share of the catalogue the narrowest and the widest strategy end with."""
    at_the_end = curves[curves["round"] == n_rounds]
    by_strategy = at_the_end.groupby("strategy", sort=False)
    covered = by_strategy["coverage"].mean()
    is_first = curves["round"] == 0
    at_first = curves.loc[is_first, "coverage"].mean()
    narrowest = covered.idxmin()
    widest = covered.idxmax()
    least = covered[narrowest]
    values = {"narrowest": narrowest, "least": least}
    values |= {"widest": widest, "most": covered[widest]}
    values |= {"at_first": at_first, "n_rounds": n_rounds}
    level = "watch" if least < at_first else "plain"
    return Finding("policies/narrowing", level, values, place="feedback")


def best_satisfaction(world: World, k: int) -> float:
    """Return the mean true interest in the k items each user likes best: no list beats it."""
    from_best_down = -np.sort(-world.interest, axis=1)
    return float(from_best_down[:, :k].mean())


def _explore(lists: np.ndarray, share: float, n_items: int, rng: np.random.Generator) -> np.ndarray:
    """Give a share of the places to items by chance, none of them twice in a list."""
    n_users, k = lists.shape
    in_random_order = rng.random((n_users, n_items)).argsort(axis=1)
    drawn = in_random_order[:, :k]
    differs_from_place = drawn[:, :, None] != lists[:, None, :]
    is_new_to_list = differs_from_place.all(axis=2)
    is_explored = rng.random(lists.shape) < share
    return np.where(is_new_to_list & is_explored, drawn, lists)


def _training(world: World, history: pd.DataFrame) -> Training:
    """Turn all reactions so far into events and orders, and those into the interest matrix."""
    after_purchase = ["progress", "rating"]
    opened = history[history["clicked"]].drop(columns=after_purchase)
    sold = history[history["purchased"]]
    learned = sold[["user", "round", *after_purchase]].assign(item=sold["offer"])
    rows = pd.concat([opened, learned], ignore_index=True)
    events = world.log_rows(rows["user"], rows["item"], rows["round"] * DAY)
    events["duration"] = world.items.lesson_length[rows["item"]]
    measured = ["watch_time", *after_purchase]
    events[measured] = rows[measured]
    counted = ["like_count", "comment_count"]
    events[counted] = rows[counted].astype("Int64")
    orders = world.log_rows(sold["user"], sold["offer"], sold["round"] * DAY)
    orders["amount"] = sold["paid"].to_numpy()
    tables = Tables(events, world.items.table, orders=orders)
    interest = interest_matrix(tables, users=world.user_ids, items=world.item_ids)
    return Training(interest, tables)


def _measure(world: World, shown: pd.DataFrame, lists: np.ndarray) -> dict[str, float]:
    """Return the value of each of `MEASURES` in one round."""
    all_items = np.ones(world.spec.n_items, dtype=bool)
    category = pd.get_dummies(world.items.table["category"])
    interest = world.interest[shown["user"], shown["item"]]
    revenue_a_user = shown["revenue"].sum() / world.spec.n_users
    some_lists = lists[:DIVERSITY_LISTS]
    diversity = intra_list_diversity(some_lists, category.to_numpy(np.float64))
    return {
        "satisfaction": float(interest.mean()),
        "revenue": float(revenue_a_user),
        "coverage": catalogue_coverage(lists, all_items),
        "gini": gini(lists, all_items),
        "diversity": mean_known(diversity),
    }
