"""What the six simulated fields of use are about: topics, words, kinds, prices; and who comes."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import yaml


@dataclass(frozen=True)
class Field:
    """A field of use: its topics, shares of kinds, median prices, purchases per exposure.

    A topic's first four and last four words are its two themes; the purchase rate is what the
    logging policy reaches without coupons.
    """

    topics: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, float]
    prices: Mapping[str, float]
    purchase_rate: float


@dataclass(frozen=True)
class Segment:
    """A kind of user; members scatter widely around it.

    ``price_pull`` is the log-odds of buying lost for each unit of log price;
    ``coupon_pull`` what a coupon adds (below 0 it puts people off).
    """

    name: str
    age: float
    hour: float
    price_pull: float
    coupon_pull: float
    kinds: Mapping[str, float]


SEGMENTS = (
    Segment("career builder", 33, 20.5, 0.5, 0.4, {"course": 0.5, "live": 0.2}),
    Segment("avid reader", 40, 7.5, 0.7, -0.1, {"book": 0.6, "report": 0.6}),
    Segment("bargain hunter", 36, 12.5, 1.1, 1.6, {"live": 0.5, "other": 0.3}),
    Segment("night browser", 29, 23.0, 0.8, 0.8, {"short_video": 0.5}),
)

N_TOPICS = 8
# Liking of each segment for each topic: two favourites, one shared with the next segment.
TOPIC_LIKING = np.array([np.roll([0.7, 0.6, 0.2, 0, 0, 0, 0, 0], 2 * s) for s in range(4)])

# Examination falls with position, as in a list read from the top: position ** -EXAMINATION.
EXAMINATION = 0.7
# What a live host or a clip adds to the log-odds of buying what it promotes.
PERSUASION = {"live": 0.9, "short_video": -0.6}
LESSONS = {"course": 8, "book": 5, "report": 3}
# Median length of the whole in seconds.
SECONDS = {"course": 10800, "book": 14400, "report": 2400, "live": 3600, "short_video": 50}
_NAMES = "Li Na, Wang Lei, Zhang Min, Liu Yang, Chen Jing, Yang Fan, Zhao Lin, Wu Xin"
HOSTS = tuple(_NAMES.split(", "))
BRANDS = ("Lantern", "Bluebridge", "Maple House", "Openfield", "Stillwater", "Nine Rivers")
OCCUPATIONS = ("student", "engineer", "teacher", "manager", "sales", "freelancer", "retired")


def _field(topics: dict[str, str], **rest: Any) -> Field:
    return Field({name: tuple(words.split()) for name, words in topics.items()}, **rest)


_TEXT = files("kpay_lab.world").joinpath("fields.yaml").read_text(encoding="utf-8")
FIELDS = {name: _field(**given) for name, given in yaml.safe_load(_TEXT).items()}


@dataclass(frozen=True)
class WorldSpec:
    """What to simulate; the same spec gives the same tables to the byte.

    ``noise`` (1 as designed) multiplies what sets users apart from their segment, and
    divides how much interest decides. ``field`` is one of `FIELDS`.
    """

    n_users: int = 2000
    n_items: int = 300
    n_days: int = 90
    seed: int = 0
    field: str = "online-education"
    noise: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("n_users", 8), ("n_items", 20), ("n_days", 7), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} is {value}; a world needs {name} of {least} or more")
        if self.field not in FIELDS:
            raise ValueError(f"field is {self.field!r}; choose one of {', '.join(FIELDS)}")
        if not 0 < self.noise < np.inf:
            raise ValueError(f"noise is {self.noise}; it must be above 0 and finite")

    def streams(self) -> list[np.random.Generator]:
        """Spawn one generator a stage, so that a change in one stage leaves the others alone."""
        return np.random.default_rng(self.seed).spawn(6)
