"""What the frozen shop is about: who comes, what it sells, and how large it is.

The values are written in ``presets.yaml``.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

_TEXT = Path(__file__).with_name("presets.yaml").read_text(encoding="utf-8")
_PRESETS = yaml.safe_load(_TEXT)
# One row a group of users with like tastes and habits, and one row a kind of item; presets.yaml
# tells what the columns mean.
SEGMENTS = pd.DataFrame(_PRESETS["segments"])
ITEM_KINDS = pd.DataFrame.from_dict(_PRESETS["item_kinds"], orient="index")
KINDS = tuple(ITEM_KINDS.index)
HOSTS = tuple(_PRESETS["hosts"])
BRANDS = tuple(_PRESETS["brands"])
OCCUPATIONS = tuple(_PRESETS["occupations"])
# What tells items of one name apart, by kind: words, and what their numbers are called.
EDITIONS = {kind: tuple(words) for kind, words in _PRESETS["editions"].items()}
SERIES = dict(_PRESETS["series"])
TOPICS = {topic: tuple(words.split()) for topic, words in _PRESETS["topics"].items()}
N_TOPICS = len(TOPICS)
SHARES_OF_KINDS = dict(_PRESETS["kinds"])
PRICES = dict(_PRESETS["prices"])
PURCHASE_RATE = _PRESETS["purchase_rate"]

# Examination falls with position, as in a list read from the top: position ** -EXAMINATION.
EXAMINATION = 0.7


@dataclass(frozen=True)
class ShopSpec:
    """How large a shop to simulate; the same spec gives the same files to the byte."""

    n_users: int
    n_items: int
    n_days: int
    seed: int

    def streams(self) -> list[np.random.Generator]:
        """Spawn one generator a stage.

        In order: users, items, sessions, feed, reactions, and what follows a reaction.
        """
        return np.random.default_rng(self.seed).spawn(6)
