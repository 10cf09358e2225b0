"""What a simulation hands over: the truth behind a log, and the log as files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.tables import Tables


@dataclass(frozen=True)
class GroundTruth:
    """What no model may see; only tests and oracle cells read it.

    Parameters
    ----------
    users, items : pandas.Index
        Labels of the rows and columns below.
    interest : float32 array (n_users, n_items)
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

    def save(self, folder: str | Path) -> Path:
        """Write to ``folder/truth/``, which no reader opens, and return that path."""
        path = Path(folder) / "truth"
        path.mkdir(parents=True, exist_ok=True)
        np.save(path / "interest.npy", self.interest, allow_pickle=False)
        names = ("purchase_probability", "treatment_effect", "propensity")
        exposures = pd.DataFrame({name: getattr(self, name) for name in names})
        exposures.to_parquet(path / "exposures.parquet")
        users = pd.DataFrame({"user_id": self.users, "segment": self.segment})
        users.to_parquet(path / "users.parquet")
        pd.DataFrame({"item_id": self.items}).to_parquet(path / "items.parquet")
        return path


def write_tables(
    tables: Tables, folder: str | Path, truth: GroundTruth | None = None, format: str = "csv"
) -> list[Path]:
    """Write ``events.csv``, ``items.csv`` … (times in ISO 8601, UTC) and ``truth/`` if given.

    Parameters
    ----------
    format : {"csv", "parquet", "jsonl"}

    Returns
    -------
    list of Path
        The files of the tables, in the schema's order.
    """
    if format not in ("csv", "parquet", "jsonl"):
        raise ValueError(f"format is {format!r}; choose csv, parquet or jsonl")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in tables.present().items():
        path = folder / f"{name}.{format}"
        if format == "parquet":
            frame.to_parquet(path, index=False)
        elif format == "csv":
            _iso(frame).to_csv(path, index=False)
        else:
            _iso(frame).to_json(path, orient="records", lines=True, force_ascii=False)
        paths.append(path)
    if truth is not None:
        truth.save(folder)
    return paths


def _iso(frame: pd.DataFrame) -> pd.DataFrame:
    """Write times as text."""
    times = frame.select_dtypes("datetimetz")
    return frame.assign(**{n: t.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for n, t in times.items()})
