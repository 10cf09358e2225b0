"""Files made by hand to the public description of KuaiLive: rooms, visits, and what was done."""

from pathlib import Path

import numpy as np
import pandas as pd

FIRST_DAY = pd.Timestamp("2025-05-05 20:00", tz="Asia/Shanghai")
HOUR_MS = 3_600_000
AGES = ("0-11", "12-17", "18-23", "24-30", "31-40", "41-49", "50+")
CATEGORIES = ("shop", "game", "sing", "chat")


def write_kuailive(
    folder: Path, *, n_users: int = 80, n_streamers: int = 6, n_days: int = 4, seed: int = 0
) -> Path:
    """Write the eight files, all times in milliseconds; return their folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rooms = _rooms(rng, n_streamers, n_days)
    clicks = _clicks(rng, rooms, n_users, 8 * n_users)
    acts = ["user_id", "live_id", "streamer_id", "timestamp"]
    tables = {"room": rooms, "click": clicks}
    tables["comment"] = _acts(rng, clicks, 40)[acts]
    tables["like"] = _acts(rng, clicks, 36)[acts]
    gifts = _acts(rng, clicks, 30)[acts]
    tables["gift"] = gifts.assign(gift_price=rng.choice([1, 2, 10, 88, 1488], len(gifts)))
    tables["negative"] = _shown(rng, rooms, n_users, 10 * n_users)
    tables["user"] = _people(rng, "user_id", n_users)
    tables["streamer"] = _people(rng, "streamer_id", n_streamers)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def _rooms(rng: np.random.Generator, n_streamers: int, n_days: int) -> pd.DataFrame:
    """Let every streamer be live for one to three hours each evening."""
    streamers = np.tile(np.arange(n_streamers), n_days)
    days = np.repeat(np.arange(n_days), n_streamers)
    evening = FIRST_DAY + pd.to_timedelta(days, unit="D")
    start = evening.as_unit("ms").asi8 + rng.integers(0, HOUR_MS, len(streamers))
    rooms = pd.DataFrame({"p_date": evening.strftime("%Y%m%d")})
    rooms["live_id"] = 7_000_000 + rng.permutation(len(rooms))
    rooms["streamer_id"] = streamers
    rooms["live_type"] = rng.integers(1, 4, len(rooms))
    rooms["start_timestamp"] = start
    rooms["end_timestamp"] = start + rng.integers(HOUR_MS, 3 * HOUR_MS, len(rooms))
    rooms["live_content_category"] = np.array(CATEGORIES)[streamers % len(CATEGORIES)]
    rooms["live_name_id"] = rng.integers(0, 50, len(rooms))
    return rooms


def _clicks(
    rng: np.random.Generator, rooms: pd.DataFrame, n_users: int, n_visits: int
) -> pd.DataFrame:
    """Draw visits that begin while the room is live, most of them seconds, some to the end."""
    entered = rooms.iloc[rng.integers(0, len(rooms), n_visits)]
    length = (entered["end_timestamp"] - entered["start_timestamp"]).to_numpy()
    offset = (rng.random(n_visits) * length).astype(np.int64)
    stay = np.exp(rng.normal(10.5, 2.2, n_visits)).astype(np.int64)
    clicks = pd.DataFrame({"user_id": rng.integers(0, n_users, n_visits)})
    clicks["live_id"] = entered["live_id"].to_numpy()
    clicks["streamer_id"] = entered["streamer_id"].to_numpy()
    clicks["timestamp"] = entered["start_timestamp"].to_numpy() + offset
    clicks["watch_live_time"] = np.minimum(stay, length - offset)
    return clicks


def _acts(rng: np.random.Generator, clicks: pd.DataFrame, n_acts: int) -> pd.DataFrame:
    """Draw moments inside visits."""
    visits = clicks.iloc[rng.integers(0, len(clicks), n_acts)]
    inside = rng.random(n_acts) * visits["watch_live_time"].to_numpy()
    return visits.assign(timestamp=visits["timestamp"] + inside.astype(np.int64))


def _shown(
    rng: np.random.Generator, rooms: pd.DataFrame, n_users: int, n_shown: int
) -> pd.DataFrame:
    """Draw rooms that somebody was shown, while they were live, and did not enter."""
    shown = _clicks(rng, rooms, n_users, n_shown)
    return shown.drop(columns="watch_live_time")


def _people(rng: np.random.Generator, key: str, n: int) -> pd.DataFrame:
    people = pd.DataFrame({key: np.arange(n)})
    people["age"] = rng.choice(AGES, n)
    people["gender"] = rng.choice(["M", "F"], n)
    people["country"] = "China"
    people["device_brand"] = rng.choice(["APPLE", "HUAWEI", "OPPO"], n)
    people["reg_timestamp"] = "2023-05-03"
    people["fans_num"] = rng.choice(["0-10", "10-100"], n)
    people["is_live_streamer"] = rng.integers(0, 2, n)
    return people
