"""The people and the catalogue of a simulated world.

All draws of a function come from one generator, one after the other: a draw that is added, moved
or left out gives another world for the same seed.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count

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
    ``price_sensitivity`` and ``coupon_effect`` are those of the segment, scattered.
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
    log-popularity; ``subjects`` has the positions topic, theme (0 or 1) and host of each item,
    ``host_charm`` what each host adds to the log-odds of buying; ``published`` (from the start)
    and ``lesson_length`` are seconds.
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
    subjects: pd.DataFrame
    host_charm: np.ndarray


def draw_people(spec: p.WorldSpec, rng: np.random.Generator) -> People:
    """Draw segments, and members that scatter around them by ``spec.noise``."""
    n_users = spec.n_users
    segment = rng.choice(len(p.SEGMENTS), n_users, p=p.SEGMENTS["share"])
    of_segment = p.SEGMENTS.iloc[segment]
    topic_liking_of_segments = np.array(p.SEGMENTS["topic_liking"].tolist())

    def scatter(scale: float, n_values: int) -> np.ndarray:
        deviation = rng.standard_normal((n_users, n_values))
        return scale * spec.noise * deviation

    topic_liking = topic_liking_of_segments[segment] + scatter(0.38, p.N_TOPICS)
    table = _draw_users_table(of_segment, rng)
    activity = np.exp(rng.normal(0, 0.7, n_users))
    sensitivity_factor = np.exp(scatter(0.2, 1)[:, 0])
    effect_shift = scatter(0.2, 1)[:, 0]
    theme_liking = scatter(0.2, 2 * p.N_TOPICS)
    hidden_liking = scatter(0.15, N_HIDDEN)
    tastes = np.hstack([topic_liking, theme_liking, hidden_liking])
    kind_liking = _kind_liking_of_segments()[segment]
    kind_liking += scatter(0.25, len(c.ITEM_KINDS))
    return People(
        table=table,
        segment=segment,
        activity=activity,
        price_sensitivity=of_segment["price_sensitivity"].to_numpy() * sensitivity_factor,
        coupon_effect=of_segment["coupon_effect"].to_numpy() + effect_shift,
        tastes=tastes,
        kind_liking=kind_liking,
    )


def _kind_liking_of_segments() -> np.ndarray:
    """Return how much each segment likes each kind of item, (n_segments, n_kinds)."""
    liking = pd.DataFrame(p.SEGMENTS["kind_liking"].tolist(), columns=c.ITEM_KINDS)
    return liking.fillna(0.0).to_numpy()


def _draw_users_table(of_segment: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw demographics that say a little about the segment, with a few gaps.

    ``of_segment`` has the row of `presets.SEGMENTS` of each user.
    """
    n_users = len(of_segment)
    age = np.rint(rng.normal(of_segment["age"], 13))
    is_woman = rng.random(n_users) < of_segment["women"]
    has_typical_occupation = rng.random(n_users) < 0.12
    drawn_occupation = rng.integers(0, len(p.OCCUPATIONS), n_users)
    any_occupation = np.array(p.OCCUPATIONS)[drawn_occupation]
    occupation = np.where(has_typical_occupation, of_segment["occupation"], any_occupation)
    consent_draw, age_draw = rng.random((n_users, 2)).T
    consent = pd.array(consent_draw < 0.95, dtype="boolean")
    consent[consent_draw > 0.98] = pd.NA
    text = {
        "user_id": [f"u{user:05d}" for user in range(n_users)],
        "gender": np.where(is_woman, "female", "male"),
        "occupation": occupation,
    }
    table = pd.DataFrame(text).astype("str")
    is_age_unknown = age_draw < 0.03
    known_age = np.where(is_age_unknown, np.nan, np.clip(age, 16, 80))
    table.insert(1, "age", known_age)
    table["consent"] = consent
    return table


def draw_catalogue(spec: p.WorldSpec, rng: np.random.Generator) -> Catalogue:
    """Draw the items in order of publication; a promotion takes the traits of its offer."""
    field = p.FIELDS[spec.field]
    n_items = spec.n_items
    kind = _draw_kinds(field, n_items, rng)
    of_kind = p.ITEM_KINDS.loc[kind]
    appeal = rng.normal(0, 1.18, n_items)
    has_price = np.isin(kind, list(field.prices))
    offer = _draw_offers(has_price, appeal, rng)
    subjects = _draw_subjects(offer, rng)
    quality = 0.35 * rng.standard_normal(n_items) + 0.15 * appeal
    lessons = of_kind["lessons"].to_numpy()
    seconds = of_kind["seconds"].to_numpy() * np.exp(rng.normal(0, 0.35, n_items))
    lesson_length = np.ceil(seconds / lessons)
    price = _draw_prices(field, kind, rng)
    published = _draw_publication(spec, rng)
    table = draw_texts(field, subjects, kind, rng)
    table["price"] = price
    table["duration"] = lesson_length * lessons
    table["published_at"] = moments(published)
    table["promotes"] = _promoted_ids(table["item_id"], offer)
    table = table.join(_draw_trust(quality, rng))
    hidden_traits = rng.standard_normal((n_items, N_HIDDEN))[offer]
    traits = np.hstack([_subject_traits(subjects), hidden_traits])
    host_charm = 0.3 * rng.standard_normal(p.N_TOPICS)
    persuasion = of_kind["persuasion"].to_numpy() + host_charm[subjects["host"]]
    return Catalogue(
        table=table,
        kind=pd.Index(c.ITEM_KINDS).get_indexer(kind),
        traits=traits,
        quality=quality,
        appeal=appeal,
        offer=offer,
        price=price[offer],
        persuasion=persuasion,
        published=published,
        lessons=lessons,
        lesson_length=lesson_length,
        subjects=subjects,
        host_charm=host_charm,
    )


def _promoted_ids(item_ids: pd.Series, offer: np.ndarray) -> pd.Series:
    """Return the id of the offer that each item promotes; missing where it sells itself."""
    offer_ids = item_ids.take(offer).reset_index(drop=True)
    return offer_ids.mask(offer_ids == item_ids)


def _draw_trust(quality: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Draw who is to be trusted: most items are reviewed, authors of good ones are verified."""
    is_reviewed = rng.random(len(quality)) < 0.95
    is_verified = rng.normal(quality, 0.5) > -0.5
    return pd.DataFrame({"reviewed": is_reviewed, "author_verified": is_verified}, dtype="boolean")


def _draw_kinds(field: p.Field, n_items: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the kind of each item; the first items, which are the oldest, can all be sold."""
    kinds = list(field.kinds)
    shares = list(field.kinds.values())
    kind = rng.choice(kinds, n_items, p=shares)
    n_first = max(5, n_items // 20)
    kind[:n_first] = next(iter(field.prices))  # a promotion needs an earlier item to sell
    return kind


def _draw_offers(has_price: np.ndarray, appeal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let each promotion sell an earlier priced item; popular ones are promoted more."""
    offer = np.arange(len(has_price))
    for promotion in np.flatnonzero(~has_price):
        earlier = np.flatnonzero(has_price[:promotion])
        weight = np.exp(0.5 * appeal[earlier])
        share = weight / weight.sum()
        offer[promotion] = rng.choice(earlier, p=share)
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
    factor = np.exp(rng.normal(0, 0.45, len(kind)))
    whole = np.rint(median * factor)
    return np.maximum(whole, 2) - 0.1


def _draw_publication(spec: p.WorldSpec, rng: np.random.Generator) -> np.ndarray:
    """Draw when items are published, ascending whole seconds; some long before the start."""
    first_day = -2 * spec.n_days
    last_day = 0.85 * spec.n_days
    days = np.sort(rng.uniform(first_day, last_day, spec.n_items))
    days[0] = first_day  # a shop without anything published has no feed to show
    return np.rint(days * DAY)


def _subject_traits(subjects: pd.DataFrame) -> np.ndarray:
    """Return topic and theme as 0/1 columns, (n_items, 3 n_topics)."""
    theme_of_any_topic = 2 * subjects["topic"] + subjects["theme"]
    topics = np.eye(p.N_TOPICS)[subjects["topic"]]
    themes = np.eye(2 * p.N_TOPICS)[theme_of_any_topic]
    return np.hstack([topics, themes])


def draw_texts(
    field: p.Field,
    subjects: pd.DataFrame,
    kind: np.ndarray,
    rng: np.random.Generator,
    *,
    titles_used: Collection[str] = (),
    first: int = 0,
) -> pd.DataFrame:
    """Write title and description with words drawn from each item's topic and theme.

    Titles of ``titles_used`` are not written again, and ids count from ``first``.
    """
    topics = list(field.topics.items())
    titles_used = set(titles_used)
    rows = []
    for item, subject in enumerate(subjects.itertuples()):
        category, words = topics[subject.topic]
        themes = np.array(words).reshape(2, 4)
        about = rng.permutation(themes[subject.theme])
        aside = rng.permutation(themes[1 - subject.theme])
        host = p.HOSTS[subject.host]
        words_of_kind = kind[item].replace("_", " ")
        name = f"{category} {words_of_kind}: {about[0]} and {about[1]}"
        title = next(one for one in _titles(name, kind[item], host) if one not in titles_used)
        titles_used.add(title)
        row = {
            "item_id": f"i{first + item:04d}",
            "kind": kind[item],
            "title": title,
            "description": f"{host} on {about[0]}, {about[1]}, {about[2]} and some {aside[0]}.",
            "category": category,
            "brand": rng.choice(p.BRANDS),
            "host": host,
        }
        rows.append(row)
    return pd.DataFrame(rows).astype("str")


def _titles(name: str, kind: str, host: str) -> Iterator[str]:
    """Yield titles for an item: its name, then with an edition, a host, and a number in a series.

    >>> titles = _titles("Tea book: green and black", "book", "Li Na")
    >>> next(titles), next(titles)
    ('Tea book: green and black', 'Tea book: green and black, second edition')
    """
    yield name
    editions = p.EDITIONS[kind]
    for edition in editions:
        yield f"{name}, {edition}"
    for edition in editions:
        yield f"{name}, {edition} with {host}"
    for number in count(2):
        yield f"{name}, {p.SERIES[kind]} {number}"


def moments(seconds: np.ndarray | pd.Series) -> pd.Series:
    """Turn seconds from the start of the log into UTC times, to the whole second."""
    whole_seconds = np.rint(np.asarray(seconds, dtype=float))
    since_start = pd.to_timedelta(whole_seconds, unit="s")
    return pd.Series(START + since_start).astype("datetime64[us, UTC]")
