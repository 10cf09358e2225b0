"""What the six simulated fields of use are about: topics, words, kinds, prices; and who comes.

The values are written in ``fields.yaml`` and ``presets.yaml``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
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


def _read(name: str) -> dict[str, Any]:
    text = files("kpay_lab.world").joinpath(name).read_text(encoding="utf-8")
    return yaml.safe_load(text)


def _field(topics: dict[str, str], **values: Any) -> Field:
    words = {topic: tuple(text.split()) for topic, text in topics.items()}
    return Field(words, **values)


FIELDS = {name: _field(**values) for name, values in _read("fields.yaml").items()}
N_TOPICS = 8
LANGUAGES = ("en", "zh")

_PRESETS = _read("presets.yaml")
# One row a group of users with like tastes and habits, and one row a kind of item; presets.yaml
# tells what the columns mean.
SEGMENTS = pd.DataFrame(_PRESETS["segments"])
ITEM_KINDS = pd.DataFrame.from_dict(_PRESETS["item_kinds"], orient="index")
HOSTS = tuple(_PRESETS["hosts"])
# When live sessions are held, by slot of the day.
LIVE_SLOTS = pd.DataFrame.from_dict(_PRESETS["live_slots"], orient="index")
BRANDS = tuple(_PRESETS["brands"])
OCCUPATIONS = tuple(_PRESETS["occupations"])
# What tells items of one name apart, by kind: words, and what their numbers are called.
EDITIONS = {kind: tuple(words) for kind, words in _PRESETS["editions"].items()}
SERIES = dict(_PRESETS["series"])

# Examination falls with position, as in a list read from the top: position ** -EXAMINATION.
EXAMINATION = 0.7

_SMALLEST = {"n_users": 8, "n_items": 20, "n_days": 7, "seed": 0}


@dataclass(frozen=True)
class WorldSpec:
    """What to simulate; the same spec gives the same tables to the byte.

    ``noise`` (1 as designed) multiplies what sets users apart from their segment, and
    divides how much interest decides. ``field`` is one of `FIELDS`, ``language`` that of the
    comments in live sessions, one of `LANGUAGES`.
    """

    n_users: int = 2000
    n_items: int = 300
    n_days: int = 90
    seed: int = 0
    field: str = "online-education"
    noise: float = 1.0
    language: str = "en"

    def __post_init__(self) -> None:
        for name, smallest in _SMALLEST.items():
            value = getattr(self, name)
            if value < smallest:
                raise ValueError(f"{name} is {value}; a world needs {name} of {smallest} or more")
        if self.field not in FIELDS:
            raise ValueError(f"field is {self.field!r}; choose one of {', '.join(FIELDS)}")
        if self.language not in LANGUAGES:
            raise ValueError(f"language is {self.language!r}; choose one of {', '.join(LANGUAGES)}")
        if not 0 < self.noise < np.inf:
            raise ValueError(f"noise is {self.noise}; it must be above 0 and finite")

    def streams(self) -> list[np.random.Generator]:
        """Spawn one generator a stage, so that a change in one stage leaves the others alone.

        In order: users, items, sessions, feed, reactions, what follows a reaction, the live
        programme, and what happens in its sessions.
        """
        return np.random.default_rng(self.seed).spawn(8)
