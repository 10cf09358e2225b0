"""What many tests share: the tiny hand-made world, a small simulated one, and the real data."""

from pathlib import Path

import pandas as pd
import pytest

from kpay_lab.data.tables import Tables
from kpay_lab.interest.tiny import tiny_world

SHARED_DATA = Path(__file__).parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def real_data():
    """Return a function: name of a real data set -> its folder, or skip with the reason."""

    def folder(name: str) -> Path:
        path = SHARED_DATA / name
        if not path.is_dir():
            pytest.skip(f"real data {name} is not at ../shared/data/{name}")
        return path

    return folder


@pytest.fixture
def tiny() -> Tables:
    """4 users x 5 items, small enough to compute by hand."""
    return tiny_world()


@pytest.fixture(scope="session")
def small_world():
    """A simulated world of 200 users: (Tables, GroundTruth)."""
    from kpay_lab.data.simulate import WorldSpec, simulate

    return simulate(WorldSpec(n_users=200, n_items=60, n_days=30, seed=0))


def utc(*texts: str) -> pd.Series:
    """Times as the tables hold them."""
    return pd.Series(pd.to_datetime(list(texts), utc=True)).astype("datetime64[us, UTC]")
