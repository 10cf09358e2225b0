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

    ``activity`` is sessions a day up to a constant, ``tastes`` (n_users, n_traits);
    ``price_sensitivity`` and ``coupon_effect`` are those of `presets.Segment`.
    """

    table: pd.DataFrame
    segment: np.ndarray
    activity: np.ndarray
    price_sensitivity: np.ndarray
    coupon_effect: np.ndarray
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
    n_users = spec.n_users
    shares = [s.share for s in p.SEGMENTS]
    segment = rng.choice(len(p.SEGMENTS), n_users, p=shares)

    def scatter(scale: float, n_values: int) -> np.ndarray:
        return scale * spec.noise * rng.standard_normal((n_users, n_values))

    topic_liking = _of_segments("topic_liking")[segment] + scatter(0.38, p.N_TOPICS)
    table = _people_table(segment, rng)
    activity = np.exp(rng.normal(0, 0.7, n_users))
    sensitivity_factor = np.exp(scatter(0.2, 1)[:, 0])
    price_sensitivity = _of_segments("price_sensitivity")[segment] * sensitivity_factor
    effect_shift = scatter(0.2, 1)[:, 0]
    coupon_effect = _of_segments("coupon_effect")[segment] + effect_shift
    theme_liking = scatter(0.2, 2 * p.N_TOPICS)
    hidden_liking = scatter(0.15, N_HIDDEN)
    kind_liking = _kind_liking_of_segments()[segment] + scatter(0.25, len(c.ITEM_KINDS))
    return People(
        table=table,
        segment=segment,
        activity=activity,
        price_sensitivity=price_sensitivity,
        coupon_effect=coupon_effect,
        tastes=np.hstack([topic_liking, theme_liking, hidden_liking]),
        kind_liking=kind_liking,
    )


def _of_segments(name: str) -> np.ndarray:
    """Return one value of every segment, by its position."""
    return np.array([getattr(segment, name) for segment in p.SEGMENTS])


def _kind_liking_of_segments() -> np.ndarray:
    liking = pd.DataFrame([segment.kind_liking for segment in p.SEGMENTS], columns=c.ITEM_KINDS)
    return liking.fillna(0.0).to_numpy()


def _people_table(segment: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Demographics that say a little about the segment, with a few gaps."""
    n_users = len(segment)
    age = rng.normal(_of_segments("age")[segment], 13)
    age = np.clip(np.rint(age), 16, 80)
    is_woman = rng.random(n_users) < _of_segments("women")[segment]
    has_typical_occupation = rng.random(n_users) < 0.12
    typical_occupation = _of_segments("occupation")[segment]
    any_occupation = rng.integers(0, len(p.OCCUPATIONS), n_users)
    any_occupation = np.array(p.OCCUPATIONS)[any_occupation]
    consent_draw, age_draw = rng.random((n_users, 2)).T
    consent = pd.array(consent_draw < 0.95, dtype="boolean")
    consent[consent_draw > 0.98] = pd.NA
    text = {
        "user_id": [f"u{user:05d}" for user in range(n_users)],
        "gender": np.where(is_woman, "female", "male"),
        "occupation": np.where(has_typical_occupation, typical_occupation, any_occupation),
    }
    table = pd.DataFrame(text).astype("str")
    table.insert(1, "age", np.where(age_draw < 0.03, np.nan, age))
    table["consent"] = consent
    return table


def draw_catalogue(spec: p.WorldSpec, rng: np.random.Generator) -> Catalogue:
    """Draw the items in order of publication; a promotion takes the traits of its offer."""
    field = p.FIELDS[spec.field]
    n_items = spec.n_items
    kind = _draw_kinds(field, n_items, rng)
    appeal = rng.normal(0, 1.18, n_items)
    has_price = np.isin(kind, list(field.prices))
    offer = _draw_offers(has_price, appeal, rng)
    subjects = _draw_subjects(offer, rng)
    quality = 0.35 * rng.standard_normal(n_items) + 0.15 * appeal
    of_kind = p.ITEM_KINDS.loc[kind]
    lessons = of_kind["lessons"].to_numpy()
    median_seconds = of_kind["seconds"].to_numpy()
    seconds = median_seconds * np.exp(rng.normal(0, 0.35, n_items))
    lesson_length = np.ceil(seconds / lessons)
    price = _draw_prices(field, kind, rng)
    published = _draw_publication(spec, rng)
    table = _described(field, subjects, kind, rng)
    table["price"] = price
    table["duration"] = lesson_length * lessons
    table["published_at"] = moments(published)
    promoted_id = table["item_id"].to_numpy()[offer]
    table["promotes"] = pd.Series(promoted_id, dtype="str").mask(offer == np.arange(n_items))
    table["reviewed"] = pd.array(rng.random(n_items) < 0.95, dtype="boolean")
    table["author_verified"] = pd.array(rng.normal(quality, 0.5) > -0.5, dtype="boolean")
    hidden_traits = rng.standard_normal((n_items, N_HIDDEN))[offer]
    host_charm = 0.3 * rng.standard_normal(p.N_TOPICS)
    return Catalogue(
        table=table,
        kind=pd.Index(c.ITEM_KINDS).get_indexer(kind),
        traits=np.hstack([_subject_traits(subjects), hidden_traits]),
        quality=quality,
        appeal=appeal,
        offer=offer,
        price=price[offer],
        persuasion=of_kind["persuasion"].to_numpy() + host_charm[subjects["host"]],
        published=published,
        lessons=lessons,
        lesson_length=lesson_length,
    )


def _draw_kinds(field: p.Field, n_items: int, rng: np.random.Generator) -> np.ndarray:
    shares = list(field.kinds.values())
    kind = rng.choice(list(field.kinds), n_items, p=shares)
    n_first = max(5, n_items // 20)
    kind[:n_first] = next(iter(field.prices))  # something must be on sale at first
    return kind


def _draw_offers(has_price: np.ndarray, appeal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let each promotion sell an earlier priced item; popular ones are promoted more."""
    offer = np.arange(len(has_price))
    for promotion in np.flatnonzero(~has_price):
        earlier = np.flatnonzero(has_price[:promotion])
        weight = np.exp(0.5 * appeal[earlier])
        offer[promotion] = rng.choice(earlier, p=weight / weight.sum())
    return offer


def _draw_subjects(offer: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what each item is about and who speaks: positions topic, theme (0 or 1) and host."""
    n_items = len(offer)
    topic_share = np.linspace(1.3, 0.7, p.N_TOPICS) / p.N_TOPICS
    topic = rng.choice(p.N_TOPICS, n_items, p=topic_share)[offer]
    theme = rng.integers(0, 2, n_items)[offer]
    is_guest = rng.random(n_items) < 0.25  # a host has a topic, and is a guest in the others
    step = rng.integers(1, p.N_TOPICS, n_items)
    host = (topic + is_guest * step) % p.N_TOPICS
    return pd.DataFrame({"topic": topic, "theme": theme, "host": host})


def _draw_prices(field: p.Field, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw prices that end in .9; NaN for a kind that is not sold."""
    median = pd.Series(kind).map(field.prices).to_numpy(dtype=float)
    price = median * np.exp(rng.normal(0, 0.45, len(kind)))
    return np.maximum(np.rint(price), 2) - 0.1


def _draw_publication(spec: p.WorldSpec, rng: np.random.Generator) -> np.ndarray:
    """Draw when items are published, ascending whole seconds; some long before the start."""
    first_day = -2 * spec.n_days
    last_day = 0.85 * spec.n_days
    days = np.sort(rng.uniform(first_day, last_day, spec.n_items))
    days[0] = first_day
    return np.rint(days * DAY)


def _subject_traits(subjects: pd.DataFrame) -> np.ndarray:
    """Return topic and theme as 0/1 columns, (n_items, 3 n_topics)."""
    theme_of_any_topic = 2 * subjects["topic"] + subjects["theme"]
    topics = np.eye(p.N_TOPICS)[subjects["topic"]]
    themes = np.eye(2 * p.N_TOPICS)[theme_of_any_topic]
    return np.hstack([topics, themes])


def _described(
    field: p.Field, subjects: pd.DataFrame, kind: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Write title and description with the words of each item's topic and theme."""
    topics = list(field.topics.items())
    rows = []
    for item, subject in enumerate(subjects.itertuples()):
        category, words = topics[subject.topic]
        themes = np.array(words).reshape(2, 4)
        about = rng.permutation(themes[subject.theme])
        aside = rng.permutation(themes[1 - subject.theme])
        host = p.HOSTS[subject.host]
        format_name = kind[item].replace("_", " ")
        row = {
            "item_id": f"i{item:04d}",
            "kind": kind[item],
            "title": f"{category} {format_name}: {about[0]} and {about[1]}",
            "description": f"{host} on {about[0]}, {about[1]}, {about[2]} and some {aside[0]}.",
            "category": category,
            "brand": rng.choice(p.BRANDS),
            "host": host,
        }
        rows.append(row)
    return pd.DataFrame(rows).astype("str")


def moments(seconds: np.ndarray | pd.Series) -> pd.Series:
    """Turn seconds from the start of the log into UTC times, to the whole second."""
    whole_seconds = np.rint(np.asarray(seconds, dtype=float))
    since_start = pd.to_timedelta(whole_seconds, unit="s")
    return pd.Series(START + since_start).astype("datetime64[us, UTC]")
