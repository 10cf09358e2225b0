"""The live programme of a simulated shop: who is on when, and what is offered in which order.

A live item of the catalogue is the recording of a session that was over when it was published.
Further sessions are in no feed: people come to them while they are on.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.world import presets as p
from kpay_lab.world.catalogue import DAY, Catalogue, draw_texts, moments

SESSIONS_A_DAY = 0.4  # beside those that are recorded for the catalogue
OWN_TOPIC = 0.5  # share of the sessions that a host gives on the own topic
FIRST_OFFER = 480.0  # seconds after the start; before it the host says hello
BETWEEN_OFFERS = 720.0  # seconds
LUCK = 0.15  # by which the log-odds of buying differ between sessions, standard deviation
SHORTEST = 1200.0  # seconds
EVENING = 18.0  # hour of the day from which on some hosts have most sessions, others few


@dataclass(frozen=True)
class Programme:
    """The live sessions of a shop, and what is true of them.

    Parameters
    ----------
    new_items : DataFrame
        Rows of the items table for the sessions that the catalogue does not hold.
    recorded : DataFrame
        ``started_at, ended_at`` of every item of the catalogue; missing for what is no session.
    sessions : DataFrame
        A row a session of the log, in order of time: ``item`` (position in the catalogue and then
        among ``new_items``), ``start, end`` (seconds from the start of the log), ``host``,
        ``topic`` and ``hero`` (positions; the hero is the priced item that it is about),
        ``quality``, ``viewers`` (how many come, relative to an average one) and ``log_odds``
        (what hour and luck add to those of buying).
    offers : DataFrame
        ``session`` (row of ``sessions``), ``item`` and ``time``, in order: an item is on offer
        until the next one.
    log_stay : float array (n_hosts,)
        What a host adds to the logarithm of a stay.
    """

    new_items: pd.DataFrame
    recorded: pd.DataFrame
    sessions: pd.DataFrame
    offers: pd.DataFrame
    log_stay: np.ndarray


def draw_programme(spec: p.WorldSpec, catalogue: Catalogue, rng: np.random.Generator) -> Programme:
    """Draw the sessions of a shop, and the order in which each offers its items."""
    evening_share = rng.permutation(np.linspace(0.25, 0.95, len(p.HOSTS)))
    log_stay = rng.normal(0, 0.2, len(p.HOSTS))
    recorded = _draw_recorded(catalogue, evening_share, rng)
    new = _draw_new(spec, catalogue, evening_share, rng)
    new_items = _new_items(spec, catalogue, new, rng)
    sessions = pd.concat([recorded, new], ignore_index=True)
    is_in_log = sessions["start"].between(0, spec.n_days * DAY, inclusive="left")
    sessions = sessions[is_in_log]
    sessions = sessions.sort_values(["start", "item"], ignore_index=True)
    slot = p.LIVE_SLOTS.iloc[sessions["slot"]].reset_index(drop=True)
    luck = rng.normal(0, LUCK, len(sessions))
    popularity = np.exp(rng.normal(0, 0.25, len(sessions)))
    sessions["log_odds"] = slot["log_odds"] + luck
    sessions["viewers"] = slot["viewers"] * popularity
    offers = _draw_offers(catalogue, sessions, rng)
    return Programme(
        new_items=new_items,
        recorded=_times_of_catalogue(recorded, spec.n_items),
        sessions=sessions.drop(columns="slot"),
        offers=offers,
        log_stay=log_stay,
    )


def _times_of_catalogue(recorded: pd.DataFrame, n_items: int) -> pd.DataFrame:
    """Return when each item of the catalogue was on; missing for what is no session."""
    times = recorded.set_index("item").reindex(np.arange(n_items))
    started_at = moments(times["start"])
    ended_at = moments(times["end"])
    return pd.DataFrame({"started_at": started_at, "ended_at": ended_at})


def _draw_slots(
    hosts: np.ndarray, evening_share: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw the slot of each session: some hosts have the evenings, others noon."""
    is_evening = rng.random(len(hosts)) < evening_share[hosts]
    hour = p.LIVE_SLOTS["hour"].to_numpy()
    share = p.LIVE_SLOTS["share"].to_numpy()
    share_by_day = np.where(hour < EVENING, share, 0)
    share_by_night = np.where(hour < EVENING, 0, share)
    by_day = _draw_of(share_by_day, len(hosts), rng)
    by_night = _draw_of(share_by_night, len(hosts), rng)
    return np.where(is_evening, by_night, by_day)


def _draw_of(weights: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw positions by their weights."""
    return rng.choice(len(weights), n_draws, p=weights / weights.sum())


def _hour_of(slots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the hour at which a session of each slot starts."""
    slot = p.LIVE_SLOTS.iloc[slots]
    return rng.normal(slot["hour"], slot["scatter"])


def _draw_recorded(
    catalogue: Catalogue, evening_share: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw when the live items of the catalogue were on: in the last slot before publication."""
    item = np.flatnonzero(catalogue.table["kind"] == "live")
    subjects = catalogue.subjects.iloc[item].reset_index(drop=True)
    host = subjects["host"].to_numpy()
    slot = _draw_slots(host, evening_share, rng)
    hour = _hour_of(slot, rng)
    length = catalogue.lesson_length[item]
    latest = catalogue.published[item] - length
    day = np.floor(latest / DAY - hour / 24)
    start = np.rint(day * DAY + hour * 3600)
    sessions = pd.DataFrame({"item": item, "start": start, "slot": slot, "host": host})
    sessions["end"] = start + length
    sessions["topic"] = subjects["topic"]
    sessions["hero"] = catalogue.offer[item]
    sessions["quality"] = catalogue.quality[item]
    return sessions


def _draw_new(
    spec: p.WorldSpec, catalogue: Catalogue, evening_share: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw the sessions that no feed shows, spread over the days of the log."""
    n_sessions = max(1, round(SESSIONS_A_DAY * spec.n_days))
    place = np.arange(n_sessions) + rng.random(n_sessions)
    day = np.floor(place / SESSIONS_A_DAY)
    day = np.minimum(day, spec.n_days - 1)
    hero = _draw_heroes(catalogue, day * DAY, rng)
    topic = catalogue.subjects["topic"].to_numpy()[hero]
    is_own = rng.random(n_sessions) < OWN_TOPIC
    any_host = rng.integers(0, len(p.HOSTS), n_sessions)
    host = np.where(is_own, topic, any_host)
    slot = _draw_slots(host, evening_share, rng)
    hour = _hour_of(slot, rng)
    start = np.rint(day * DAY + hour * 3600)
    usual_length = p.LIVE_SLOTS["seconds"].to_numpy()[slot]
    longer = np.exp(rng.normal(0, 0.25, n_sessions))
    length = usual_length * longer
    sessions = pd.DataFrame({"start": start, "slot": slot, "host": host, "topic": topic})
    sessions["item"] = spec.n_items + np.arange(n_sessions)
    length = np.maximum(length, SHORTEST)
    sessions["end"] = start + np.rint(length)
    sessions["hero"] = hero
    sessions["quality"] = 0.35 * rng.standard_normal(n_sessions)
    return sessions


def _priced(catalogue: Catalogue, before: float) -> np.ndarray:
    """Return the items that can be bought and were published by a time."""
    is_priced = catalogue.table["price"].notna()
    is_out = catalogue.published <= before
    return np.flatnonzero(is_priced & is_out)


def _draw_heroes(catalogue: Catalogue, starts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the item that each session is about; popular ones come more often."""
    heroes = []
    for start in starts:
        choices = _priced(catalogue, start)
        weight = np.exp(0.5 * catalogue.appeal[choices])
        share = weight / weight.sum()
        hero = rng.choice(choices, p=share)
        heroes.append(hero)
    return np.array(heroes)


def _new_items(
    spec: p.WorldSpec, catalogue: Catalogue, new: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Write the new sessions as rows of the items table; one that is still on has no end."""
    kind = np.full(len(new), "live")
    hero = new["hero"].to_numpy()
    theme = catalogue.subjects["theme"].to_numpy()[hero]
    subjects = pd.DataFrame({"topic": new["topic"], "theme": theme, "host": new["host"]})
    titles = set(catalogue.table["title"])
    field = p.FIELDS[spec.field]
    table = draw_texts(field, subjects, kind, rng, titles_used=titles, first=spec.n_items)
    table["price"] = np.nan
    table["duration"] = new["end"] - new["start"]
    started_at = moments(new["start"])
    table["published_at"] = started_at
    table["started_at"] = started_at
    is_over = new["end"] < spec.n_days * DAY
    table["ended_at"] = moments(new["end"].where(is_over))
    item_ids = catalogue.table["item_id"].to_numpy()
    table["promotes"] = item_ids[hero]
    trusted = pd.array(np.ones(len(new)), dtype="boolean")
    table["reviewed"] = trusted
    table["author_verified"] = trusted
    return table


def _draw_offers(
    catalogue: Catalogue, sessions: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw which items a session offers and when: the hero first, and once more near the end."""
    topics = catalogue.subjects["topic"].to_numpy()
    offers = []
    for number, session in enumerate(sessions.itertuples()):
        time_to_offer = session.end - session.start - FIRST_OFFER
        n_others = max(int(time_to_offer / BETWEEN_OFFERS) - 1, 0)
        choices = _priced(catalogue, session.start)
        choices = choices[choices != session.hero]
        is_on_topic = topics[choices] == session.topic
        liking = 0.5 * catalogue.appeal[choices]
        weight = np.exp(liking + 3.0 * is_on_topic)
        share = weight / weight.sum()
        n_others = min(n_others, len(choices))
        others = rng.choice(choices, n_others, replace=False, p=share)
        items = [session.hero, *others, session.hero]
        n_items = len(items)
        gap = time_to_offer / n_items
        place = np.arange(n_items) + rng.uniform(0, 0.3, n_items)
        first = session.start + FIRST_OFFER
        times = np.rint(first + gap * place)
        for item, time in zip(items, times, strict=True):
            offers.append((number, int(item), time))
    return pd.DataFrame(offers, columns=["session", "item", "time"])
