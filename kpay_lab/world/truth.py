"""What a simulation knows of its own log, and no model may see."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from kpay_lab.data.admitted import keep_arrays, keep_frames, kept_arrays, kept_frames
from kpay_lab.data.log import Log
from kpay_lab.data.privacy import pseudonyms

EXPOSURE_ARRAYS = ("purchase_probability", "treatment_effect", "propensity")
EXPOSURE_KEYS = ["user_id", "item_id", "timestamp", "position"]
ORDER_KEYS = ["user_id", "item_id", "timestamp"]
OFFER_KEYS = ["source_item_id", "item_id", "timestamp"]


@dataclass(frozen=True)
class GroundTruth:
    """What no model may see; only tests and oracle cells read it.

    Parameters
    ----------
    exposures : DataFrame
        User, item, time and position of every exposure, by row of the arrays over exposures.
    orders : DataFrame
        User, item and time of every order; ``source_item_id``, the item whose showing sold it: a
        live session, a video, or the page of what was bought; and ``video_item_id``, the short
        video that sold it or led to the visit to the session that did, missing where none did.
    comments : DataFrame
        ``user_id, item_id, timestamp`` of every comment in a live session, its ``topic`` and
        whether it ``is_question``.
    offers : DataFrame
        ``source_item_id, item_id, timestamp`` of every offer, and ``added_orders``, how many
        orders it adds to its session in expectation (`live_sales.lift_after_offer` says when).
    hosts : DataFrame
        By name: ``log_odds``, what the host adds to those of buying, ``log_stay``, what to the
        logarithm of a stay, and ``orders_per_visit``, how many are expected if this host had
        given every live session of the whole log, to the same visitors at the same hours.
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

    exposures: pd.DataFrame
    orders: pd.DataFrame
    comments: pd.DataFrame
    offers: pd.DataFrame
    hosts: pd.DataFrame
    users: pd.Index
    items: pd.Index
    interest: np.ndarray
    segment: np.ndarray
    purchase_probability: np.ndarray
    treatment_effect: np.ndarray
    propensity: np.ndarray

    def of(self, log: Log) -> "GroundTruth":
        """Tell the truth of a log that was opened from this simulation.

        Its exposures, orders and offers go with the rows of ``log.tables``, whatever consent and
        window left of them, its comments with those that the events hold, and its users go by
        the log's pseudonyms.

        Raises
        ------
        ValueError
            If the log is another shop's, or its pseudonyms have another process's key.
        """
        truth = self._named_as(log)
        shown = _rows_of_log(truth.exposures, log.tables.exposures, EXPOSURE_KEYS, "exposures")
        ordered = _rows_of_log(truth.orders, log.tables.orders, ORDER_KEYS, "orders")
        offered = _rows_of_log(truth.offers, log.tables.offers, OFFER_KEYS, "offers")
        said = pd.MultiIndex.from_frame(truth.comments[ORDER_KEYS])
        logged = pd.MultiIndex.from_frame(log.tables.events[ORDER_KEYS])
        comments = truth.comments[said.isin(logged)]
        arrays = {name: getattr(truth, name)[shown] for name in EXPOSURE_ARRAYS}
        return replace(
            truth,
            exposures=truth.exposures.iloc[shown],
            orders=truth.orders.iloc[ordered],
            offers=truth.offers.iloc[offered],
            comments=comments,
            **arrays,
        )

    def _named_as(self, log: Log) -> "GroundTruth":
        """Return the truth with its users named as in a log: by their ids or by pseudonyms."""
        log_users = log.tables.ids("user_id")
        if log_users.isin(self.users).all():
            return self
        ids = pd.Series(self.users, self.users)
        pseudonym_of = pseudonyms(ids)
        if not log_users.isin(pseudonym_of).all():
            raise ValueError("the log holds users whom this simulation does not; open its own")
        viewers = self.exposures["user_id"].map(pseudonym_of)
        buyers = self.orders["user_id"].map(pseudonym_of)
        writers = self.comments["user_id"].map(pseudonym_of)
        return replace(
            self,
            users=pd.Index(pseudonym_of, name=self.users.name),
            exposures=self.exposures.assign(user_id=viewers),
            orders=self.orders.assign(user_id=buyers),
            comments=self.comments.assign(user_id=writers),
        )

    def keep(self, folder: Path) -> None:
        """Write all of it to a new folder, so that `kept` gives an equal truth."""
        frames = {
            "exposures": self.exposures,
            "orders": self.orders,
            "comments": self.comments,
            "offers": self.offers,
            "hosts": self.hosts,
            "users": self.users.to_frame(index=False),
            "items": self.items.to_frame(index=False),
        }
        arrays = {name: getattr(self, name) for name in ("interest", "segment", *EXPOSURE_ARRAYS)}
        keep_frames(frames, folder)
        keep_arrays(arrays, folder)

    @classmethod
    def kept(cls, folder: Path) -> "GroundTruth":
        """Map a truth that `keep` wrote."""
        frames = kept_frames(folder)
        labels = {}
        for name in ("users", "items"):
            column = frames.pop(name).iloc[:, 0]
            labels[name] = pd.Index(column)
        return cls(**frames, **labels, **kept_arrays(folder))

    def save(self, folder: str | Path) -> Path:
        """Write to ``folder/truth/``, which no reader opens, and return that path."""
        path = Path(folder) / "truth"
        path.mkdir(parents=True, exist_ok=True)
        np.save(path / "interest.npy", self.interest, allow_pickle=False)
        exposures = pd.DataFrame({name: getattr(self, name) for name in EXPOSURE_ARRAYS})
        users = pd.DataFrame({"user_id": self.users, "segment": self.segment})
        items = pd.DataFrame({"item_id": self.items})
        exposures.to_parquet(path / "exposures.parquet")
        users.to_parquet(path / "users.parquet")
        items.to_parquet(path / "items.parquet")
        self.orders.to_parquet(path / "orders.parquet")
        self.comments.to_parquet(path / "comments.parquet")
        self.offers.to_parquet(path / "offers.parquet")
        self.hosts.to_parquet(path / "hosts.parquet")
        return path


def _rows_of_log(
    simulated: pd.DataFrame, logged: pd.DataFrame | None, keys: list[str], what: str
) -> np.ndarray:
    """Return the positions of a log's rows among those that were simulated."""
    if logged is None:
        return np.zeros(0, dtype=np.int64)
    keys_of_log = _unique_keys(logged[keys])
    rows = _unique_keys(simulated[keys]).get_indexer(keys_of_log)
    if (rows < 0).any():
        raise ValueError(f"the log holds {what} that this simulation does not; open its own")
    return rows


def _unique_keys(keys: pd.DataFrame) -> pd.MultiIndex:
    """Return rows of keys as an index; equal ones get a number in their order, from 0."""
    number = keys.groupby([*keys], sort=False).cumcount()
    return pd.MultiIndex.from_frame(keys.assign(number=number))
