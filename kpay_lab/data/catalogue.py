"""The people and the catalogue of a simulated world, drawn field by field."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kpay_lab import columns as c
from kpay_lab.data import presets as p

START = pd.Timestamp("2026-01-05", tz="UTC")  # a Monday
DAY = 86_400.0
N_HIDDEN = 3  # traits that no column of the tables shows


@dataclass(frozen=True)
class People:
    """Latent tastes (n_users, n_traits) and liking of kinds (n_users, n_kinds); the known rest."""

    tastes: np.ndarray
    kind_liking: np.ndarray
    known: dict[str, Any]


@dataclass(frozen=True)
class Catalogue:
    """Latent traits (n_items, n_traits), kind and quality (n_items,); the known rest."""

    traits: np.ndarray
    kind: np.ndarray
    quality: np.ndarray
    known: dict[str, Any]


def draw_users(spec: p.WorldSpec, rng: np.random.Generator) -> People:
    """Draw segments, and members that scatter around them by ``spec.noise``."""
    n = spec.n_users
    segment = rng.choice(4, n, p=[0.3, 0.25, 0.25, 0.2])

    def scatter(scale: float, width: int) -> np.ndarray:
        return scale * spec.noise * rng.standard_normal((n, width))

    kinds = np.array([[s.kinds.get(k, 0.0) for k in c.KINDS] for s in p.SEGMENTS])
    price = np.array([s.price_pull for s in p.SEGMENTS])
    coupon = np.array([s.coupon_pull for s in p.SEGMENTS])
    topics = p.TOPIC_LIKING[segment] + scatter(0.6, p.N_TOPICS)
    known = {
        "users": _people_table(segment, rng),
        "segment": segment,
        "activity": np.exp(rng.normal(0, 0.7, n)),
        "price_pull": price[segment] * np.exp(scatter(0.2, 1)[:, 0]),
        "coupon_pull": coupon[segment] + scatter(0.2, 1)[:, 0],
    }
    tastes = np.hstack([topics, scatter(0.3, 2 * p.N_TOPICS), scatter(0.3, N_HIDDEN)])
    return People(tastes, kinds[segment] + scatter(0.45, len(c.KINDS)), known)


def _people_table(segment: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Demographics that say a little about the segment, with a few gaps."""
    n, typical = len(segment), np.array([s.age for s in p.SEGMENTS])
    age = np.clip(np.rint(rng.normal(typical[segment], 12)), 16, 80)
    women = rng.random(n) < np.array([0.45, 0.55, 0.6, 0.5])[segment]
    trade = np.where(rng.random(n) < 0.2, segment + 1, rng.integers(0, len(p.OCCUPATIONS), n))
    said = rng.random((n, 2))
    consent = pd.array(said[:, 0] < 0.95, dtype="boolean")
    consent[said[:, 0] > 0.98] = pd.NA
    return pd.DataFrame(
        {
            "user_id": pd.Series([f"u{u:05d}" for u in range(n)], dtype="str"),
            "age": np.where(said[:, 1] < 0.03, np.nan, age),
            "gender": pd.Series(np.where(women, "female", "male"), dtype="str"),
            "occupation": pd.Series(np.array(p.OCCUPATIONS)[trade], dtype="str"),
            "consent": consent,
        }
    )


def draw_items(spec: p.WorldSpec, rng: np.random.Generator) -> Catalogue:
    """Draw the catalogue in order of publication; a promotion takes the traits of its offer."""
    field, n = p.FIELDS[spec.field], spec.n_items
    kind = rng.choice(list(field.kinds), n, p=list(field.kinds.values()))
    kind[: max(5, n // 20)] = next(iter(field.prices))  # something must be on sale at first
    priced = np.isin(kind, list(field.prices))
    appeal = rng.normal(0, 1.25, n)
    offer = np.arange(n)
    for i in np.flatnonzero(~priced):
        earlier = np.flatnonzero(priced[:i])
        pull = np.exp(0.5 * appeal[earlier])
        offer[i] = rng.choice(earlier, p=pull / pull.sum())
    topic = rng.choice(p.N_TOPICS, n, p=np.linspace(1.5, 0.5, p.N_TOPICS) / p.N_TOPICS)[offer]
    theme = rng.integers(0, 2, n)[offer]
    host = (topic + (rng.random(n) < 0.25) * rng.integers(1, p.N_TOPICS, n)) % p.N_TOPICS
    quality = 0.35 * rng.standard_normal(n) + 0.15 * appeal
    length = np.array([p.SECONDS[k] for k in kind]) * np.exp(rng.normal(0, 0.35, n))
    lessons = np.array([p.LESSONS.get(k, 1) for k in kind])
    price = _prices(field, kind, rng)
    published = np.sort(rng.uniform(-2 * spec.n_days, 0.85 * spec.n_days, n)) * DAY
    published[0] = -2 * spec.n_days * DAY
    persuasion = np.array([p.PERSUASION.get(k, 0.0) for k in kind])
    known = {
        "offer": offer,
        "price": price[offer],
        "persuasion": persuasion + 0.3 * rng.standard_normal(p.N_TOPICS)[host],
        "appeal": appeal,
        "published": np.rint(published),
        "lessons": lessons,
        "lesson_length": np.ceil(length / lessons),
    }
    known["items"] = _catalogue_table(field, kind, topic, theme, host, quality, known, rng)
    hidden = rng.standard_normal((n, N_HIDDEN))[offer]
    traits = np.hstack(
        [np.eye(p.N_TOPICS)[topic], np.eye(2 * p.N_TOPICS)[2 * topic + theme], hidden]
    )
    return Catalogue(traits, np.array([c.KINDS.index(k) for k in kind]), quality, known)


def _prices(field: p.Field, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw log-normal prices that end in .90, as shops write them; NaN where nothing is sold."""
    typical = np.array([field.prices.get(k, np.nan) for k in kind])
    return np.maximum(np.rint(typical * np.exp(rng.normal(0, 0.45, len(kind)))), 2) - 0.1


def _catalogue_table(
    field: p.Field,
    kind: np.ndarray,
    topic: np.ndarray,
    theme: np.ndarray,
    host: np.ndarray,
    quality: np.ndarray,
    known: dict[str, Any],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Write the items as a log shows them: words of the item's theme in title and description."""
    n, names = len(kind), list(field.topics)
    ids = np.array([f"i{i:04d}" for i in range(n)])
    sold = known["offer"] == np.arange(n)
    titles, texts = [], []
    for i in range(n):
        words = np.array(field.topics[names[topic[i]]]).reshape(2, 4)
        own, other = rng.permutation(words[theme[i]]), rng.permutation(words[1 - theme[i]])
        label = kind[i].replace("_", " ")
        titles.append(f"{names[topic[i]]} {label}: {own[0]} and {own[1]}")
        texts.append(f"{p.HOSTS[host[i]]} on {own[0]}, {own[1]}, {own[2]} and some {other[0]}.")
    table = {
        "item_id": ids,
        "kind": kind,
        "title": titles,
        "description": texts,
        "category": np.array(names)[topic],
        "brand": rng.choice(p.BRANDS, n),
        "host": np.array(p.HOSTS)[host],
    }
    frame = pd.DataFrame({name: pd.Series(values, dtype="str") for name, values in table.items()})
    frame["price"] = np.where(sold, known["price"], np.nan)
    frame["duration"] = known["lesson_length"] * known["lessons"]
    frame["published_at"] = moments(known["published"])
    frame["promotes"] = pd.Series(ids[known["offer"]], dtype="str").mask(sold)
    frame["reviewed"] = pd.array(rng.random(n) < 0.95, dtype="boolean")
    frame["author_verified"] = pd.array(rng.normal(quality, 0.5) > -0.5, dtype="boolean")
    return frame


def moments(seconds: np.ndarray) -> pd.Series:
    """Turn seconds from the start of the log into UTC times, to the whole second."""
    whole = pd.to_timedelta(np.rint(np.asarray(seconds, dtype=float)), unit="s")
    return pd.Series(START + whole).astype("datetime64[us, UTC]")
