"""What happens when we act on a model, round after round, and it learns from what it caused."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpay_lab.data.tables import Tables
from kpay_lab.evaluate.beyond import catalogue_coverage, gini, intra_list_diversity, mean_known
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.base import Recommender, Training, largest, top_k
from kpay_lab.world.catalogue import DAY, moments
from kpay_lab.world.shop import World, react
from kpay_lab.world.simulate import COUPON_PRICE

MEASURES = ("satisfaction", "revenue", "coverage", "gini", "diversity")
SAMPLED = 50  # users whose lists are measured for diversity


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
        Offers a user has already; nobody buys twice. Updated in place.
    treated : 0/1 array (n,) or scalar
        Who holds a coupon, which lowers the price to `COUPON_PRICE` of it.

    Returns
    -------
    DataFrame
        One row a place: user, item, offer, position, treated, the fields of `Reactions`,
        ``paid`` and ``revenue`` (less refunds).
    """
    n, k = lists.shape
    owned = np.zeros(world.interest.shape, dtype=bool) if owned is None else owned
    coupon = np.repeat(np.broadcast_to(treated, n), k)
    asked = np.array([np.repeat(users, k), lists.ravel(), np.tile(range(1, k + 1), n), coupon])
    user, item, position, coupon = asked = asked[:, lists.ravel() >= 0]
    shown = pd.DataFrame(asked.T, columns=["user", "item", "position", "treated"]).assign(
        offer=world.items.offer[item], **vars(react(world, user, item, position, coupon, rng))
    )
    wanted = shown[shown["purchased"] & ~owned[user, shown["offer"]]]
    sold = wanted.drop_duplicates(["user", "offer"])
    owned[sold["user"], sold["offer"]] = True
    price = world.items.price[item] * np.where(coupon == 1, COUPON_PRICE, 1.0)
    shown["purchased"] = shown.index.isin(sold.index)
    shown["paid"] = np.where(shown["purchased"], price, 0.0)
    return shown.assign(revenue=shown["paid"] * (1 - shown["refunded"].fillna(0)))


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
    users, everything = np.arange(world.spec.n_users), np.ones(world.spec.n_items, dtype=bool)
    owned, rows = np.zeros(world.interest.shape, dtype=bool), []
    log: list[pd.DataFrame] = []
    lists = largest(list_rng.random(owned.shape), k)
    for number in range(n_rounds + 1):
        if number > 0:
            model = strategy.model.fit(_remember(world, pd.concat(log, ignore_index=True)))
            bought = csr_array(owned[:, world.items.offer])
            lists = top_k(model, users, k, exclude=bought, candidates=everything).items
            lists = _explore(lists, strategy.exploration, world.spec.n_items, list_rng)
        log.append(show(world, users, lists, rng=user_rng, owned=owned).assign(round=number))
        rows.append({"round": number} | _measure(world, log[-1], lists))
    return pd.DataFrame(rows)


def play_all(
    world: World,
    strategies: Mapping[str, Strategy],
    *,
    n_rounds: int,
    k: int,
    n_runs: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Play every strategy ``n_runs`` times from one first round a run: `play`, strategy, run."""
    played = []
    for run, seed in enumerate(rng.integers(2**32, size=n_runs)):
        for name, strategy in strategies.items():
            luck = np.random.default_rng(seed)
            curve = play(world, strategy, n_rounds=n_rounds, k=k, rng=luck)
            played.append(curve.assign(strategy=name, run=run))
    return pd.concat(played, ignore_index=True)


def best_satisfaction(world: World, k: int) -> float:
    """Return the mean true interest in the k items each user likes best: no list beats it."""
    return float(-np.sort(-world.interest, axis=1)[:, :k].mean())


def _explore(lists: np.ndarray, share: float, n_items: int, rng: np.random.Generator) -> np.ndarray:
    """Give a share of the places to items by chance, none of them twice in a list."""
    drawn = rng.random((len(lists), n_items)).argsort(axis=1)[:, : lists.shape[1]]
    fresh = (drawn[:, :, None] != lists[:, None, :]).all(axis=2)
    return np.where(fresh & (rng.random(lists.shape) < share), drawn, lists)


def _remember(world: World, seen: pd.DataFrame) -> Training:
    """Turn all reactions so far into events and orders, and those into the interest matrix."""
    after = ["progress", "rating"]
    opened, sold = seen[seen["clicked"]].drop(columns=after), seen[seen["purchased"]]
    learned = sold[["user", "round", *after]].assign(item=sold["offer"])
    rows = pd.concat([opened, learned], ignore_index=True)
    counts = {name: rows[name].astype("Int64") for name in ("like_count", "comment_count")}
    events = _labelled(world, rows["user"], rows["item"], rows["round"]).assign(
        duration=world.items.lesson_length[rows["item"]], **rows[["watch_time", *after]], **counts
    )
    orders = _labelled(world, sold["user"], sold["offer"], sold["round"])
    tables = Tables(events, world.items.table, orders=orders.assign(amount=sold["paid"].to_numpy()))
    users, items = (pd.Index(t.iloc[:, 0]) for t in (world.users.table, world.items.table))
    return Training(interest_matrix(tables, users=users, items=items), tables)


def _labelled(world: World, user: pd.Series, item: pd.Series, day: pd.Series) -> pd.DataFrame:
    people = world.users.table["user_id"].take(user).reset_index(drop=True)
    things = world.items.table["item_id"].take(item).reset_index(drop=True)
    return pd.DataFrame({"user_id": people, "item_id": things, "timestamp": moments(day * DAY)})


def _measure(world: World, shown: pd.DataFrame, lists: np.ndarray) -> dict[str, float]:
    category = pd.get_dummies(world.items.table["category"]).to_numpy(np.float64)
    everything = np.ones(world.spec.n_items, dtype=bool)
    values = (
        float(world.interest[shown["user"], shown["item"]].mean()),
        float(shown["revenue"].sum() / world.spec.n_users),
        catalogue_coverage(lists, everything),
        gini(lists, everything),
        mean_known(intra_list_diversity(lists[:SAMPLED], category)),
    )
    return dict(zip(MEASURES, values, strict=True))
