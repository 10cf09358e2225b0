"""The people and the catalogue of a simulated world."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab import columns as c
from kpay_lab.world import presets as p

START = pd.Timestamp("2026-01-05", tz="UTC")  # a Monday
DAY = 86_400.0
N_HIDDEN = 3  # traits that no column of the tables shows


@dataclass(frozen=True)
class People:
    """The users table as a log shows it and, by row, what is true of each user.

    ``activity`` is sessions a day up to a constant, ``tastes`` (n_users, n_traits).
    """

    table: pd.DataFrame
    segment: np.ndarray
    activity: np.ndarray
    price_pull: np.ndarray
    coupon_pull: np.ndarray
    tastes: np.ndarray
    kind_liking: np.ndarray


@dataclass(frozen=True)
class Catalogue:
    """The items table in order of publication and, by row, what is true of each item.

    ``offer`` is the position of what is bought (the promoted item, else the item itself),
    ``price`` its price, ``persuasion`` the log-odds that host and kind add, ``appeal``
    log-popularity; ``published`` (from the start) and ``lesson_length`` are seconds.
    """

    table: pd.DataFrame
    kind: np.ndarray
    traits: np.ndarray
    quality: np.ndarray
    appeal: np.ndarray
    offer: np.ndarray
    price: np.ndarray
    persuasion: np.ndarray
    published: np.ndarray
    lessons: np.ndarray
    lesson_length: np.ndarray


def draw_people(spec: p.WorldSpec, rng: np.random.Generator) -> People:
    """Draw segments, and members that scatter around them by ``spec.noise``."""
    n = spec.n_users
    segment = rng.choice(4, n, p=[0.28, 0.25, 0.25, 0.22])

    def scatter(scale: float, width: int) -> np.ndarray:
        return scale * spec.noise * rng.standard_normal((n, width))

    kinds = np.array([[s.kinds.get(k, 0.0) for k in c.ITEM_KINDS] for s in p.SEGMENTS])
    pulls = np.array([[s.price_pull, s.coupon_pull] for s in p.SEGMENTS])[segment]
    topics = p.TOPIC_LIKING[segment] + scatter(0.38, p.N_TOPICS)
    return People(
        table=_people_table(segment, rng),
        segment=segment,
        activity=np.exp(rng.normal(0, 0.7, n)),
        price_pull=pulls[:, 0] * np.exp(scatter(0.2, 1)[:, 0]),
        coupon_pull=pulls[:, 1] + scatter(0.2, 1)[:, 0],
        tastes=np.hstack([topics, scatter(0.2, 2 * p.N_TOPICS), scatter(0.15, N_HIDDEN)]),
        kind_liking=kinds[segment] + scatter(0.25, len(c.ITEM_KINDS)),
    )


def _people_table(segment: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Demographics that say a little about the segment, with a few gaps."""
    n, typical = len(segment), np.array([s.age for s in p.SEGMENTS])
    age = np.clip(np.rint(rng.normal(typical[segment], 13)), 16, 80)
    women = rng.random(n) < np.array([0.45, 0.55, 0.6, 0.5])[segment]
    trade = np.where(rng.random(n) < 0.12, segment + 1, rng.integers(0, len(p.OCCUPATIONS), n))
    said = rng.random((n, 2))
    consent = pd.array(said[:, 0] < 0.95, dtype="boolean")
    consent[said[:, 0] > 0.98] = pd.NA
    text = {
        "user_id": [f"u{u:05d}" for u in range(n)],
        "gender": np.where(women, "female", "male"),
        "occupation": np.array(p.OCCUPATIONS)[trade],
    }
    table = pd.DataFrame(text).astype("str")
    table.insert(1, "age", np.where(said[:, 1] < 0.03, np.nan, age))
    return table.assign(consent=consent)


def draw_catalogue(spec: p.WorldSpec, rng: np.random.Generator) -> Catalogue:
    """Draw the items in order of publication; a promotion takes the traits of its offer."""
    field, n, m = p.FIELDS[spec.field], spec.n_items, p.N_TOPICS
    kind = rng.choice(list(field.kinds), n, p=list(field.kinds.values()))
    kind[: max(5, n // 20)] = next(iter(field.prices))  # something must be on sale at first
    appeal = rng.normal(0, 1.18, n)
    offer = _offers(np.isin(kind, list(field.prices)), appeal, rng)
    topic = rng.choice(m, n, p=np.linspace(1.3, 0.7, m) / m)[offer]
    theme = rng.integers(0, 2, n)[offer]
    host = (topic + (rng.random(n) < 0.25) * rng.integers(1, m, n)) % m
    quality = 0.35 * rng.standard_normal(n) + 0.15 * appeal
    lessons = np.array([p.LESSONS.get(k, 1) for k in kind])
    seconds = np.array([p.SECONDS.get(k, 120) for k in kind]) * np.exp(rng.normal(0, 0.35, n))
    price = np.array([field.prices.get(k, np.nan) for k in kind]) * np.exp(rng.normal(0, 0.45, n))
    price = np.maximum(np.rint(price), 2) - 0.1
    published = np.sort(rng.uniform(-2 * spec.n_days, 0.85 * spec.n_days, n)) * DAY
    published[0] = -2 * spec.n_days * DAY
    table = _described(field, np.c_[topic, theme, host], kind, rng).assign(
        price=price,
        duration=np.ceil(seconds / lessons) * lessons,
        published_at=moments(published),
        promotes=pd.Series([f"i{i:04d}" for i in offer]).mask(offer == np.arange(n)),
        reviewed=pd.array(rng.random(n) < 0.95, dtype="boolean"),
        author_verified=pd.array(rng.normal(quality, 0.5) > -0.5, dtype="boolean"),
    )
    hidden = rng.standard_normal((n, N_HIDDEN))[offer]
    charm = 0.3 * rng.standard_normal(m)[host]
    return Catalogue(
        table=table,
        kind=np.array([c.ITEM_KINDS.index(k) for k in kind]),
        traits=np.hstack([np.eye(m)[topic], np.eye(2 * m)[2 * topic + theme], hidden]),
        quality=quality,
        appeal=appeal,
        offer=offer,
        price=price[offer],
        persuasion=np.array([p.PERSUASION.get(k, 0.0) for k in kind]) + charm,
        published=np.rint(published),
        lessons=lessons,
        lesson_length=np.ceil(seconds / lessons),
    )


def _offers(priced: np.ndarray, appeal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let each promotion sell an earlier priced item; popular ones are promoted more."""
    offer = np.arange(len(priced))
    for i in np.flatnonzero(~priced):
        earlier = np.flatnonzero(priced[:i])
        pull = np.exp(0.5 * appeal[earlier])
        offer[i] = rng.choice(earlier, p=pull / pull.sum())
    return offer


def _described(
    field: p.Field, about: np.ndarray, kind: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Write title and description with the words of each item's (topic, theme, host)."""
    rows, topics = [], list(field.topics.items())
    for i, (k, (topic, theme, host)) in enumerate(zip(kind, about, strict=True)):
        name, words = topics[topic][0], np.array(topics[topic][1]).reshape(2, 4)
        own, other = rng.permutation(words[theme]), rng.permutation(words[1 - theme])
        title = f"{name} {k.replace('_', ' ')}: {own[0]} and {own[1]}"
        text = f"{p.HOSTS[host]} on {own[0]}, {own[1]}, {own[2]} and some {other[0]}."
        brand = rng.choice(p.BRANDS)
        rows.append((f"i{i:04d}", k, title, text, name, brand, p.HOSTS[host]))
    names = ["item_id", "kind", "title", "description", "category", "brand", "host"]
    return pd.DataFrame(rows, columns=names).astype("str")


def moments(seconds: np.ndarray | pd.Series) -> pd.Series:
    """Turn seconds from the start of the log into UTC times, to the whole second."""
    whole = pd.to_timedelta(np.rint(np.asarray(seconds, dtype=float)), unit="s")
    return pd.Series(START + whole).astype("datetime64[us, UTC]")
