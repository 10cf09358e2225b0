"""What a simulation knows of its own log, and no model may see."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

OF_EXPOSURES = ("purchase_probability", "treatment_effect", "propensity")


@dataclass(frozen=True)
class GroundTruth:
    """What no model may see; only tests and oracle cells read it.

    Parameters
    ----------
    users, items : pandas.Index
        Labels of the rows and columns of ``interest``, float32 (n_users, n_items).
    segment : int array (n_users,)
        Position in ``presets.SEGMENTS``.
    purchase_probability : float array (n_exposures,)
        Under the treatment that was given; 0 where the offer was owned.
    treatment_effect : float array (n_exposures,)
        Purchase probability with a coupon minus without.
    propensity : float array (n_exposures,)
    """

    users: pd.Index
    items: pd.Index
    interest: np.ndarray
    segment: np.ndarray
    purchase_probability: np.ndarray
    treatment_effect: np.ndarray
    propensity: np.ndarray

    def take(self, rows: np.ndarray) -> "GroundTruth":
        """Keep what is known of some of the exposures."""
        return replace(self, **{name: getattr(self, name)[rows] for name in OF_EXPOSURES})

    def save(self, folder: str | Path) -> Path:
        """Write to ``folder/truth/``, which no reader opens, and return that path."""
        path = Path(folder) / "truth"
        path.mkdir(parents=True, exist_ok=True)
        np.save(path / "interest.npy", self.interest, allow_pickle=False)
        frames = {
            "exposures": {name: getattr(self, name) for name in OF_EXPOSURES},
            "users": {"user_id": self.users, "segment": self.segment},
            "items": {"item_id": self.items},
        }
        for name, columns in frames.items():
            pd.DataFrame(columns).to_parquet(path / f"{name}.parquet")
        return path
