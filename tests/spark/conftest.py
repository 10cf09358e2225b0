"""A real standalone cluster on loopback, or a reason why there is none."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("cluster.sh")


def run_cluster(action, folder):
    """Call cluster.sh; return what it says."""
    environment = os.environ | {"PYTHON": sys.executable}
    command = ["bash", str(SCRIPT), action, str(folder)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Start master and workers; the folder of their logs and ids, and the master's address."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed here: make test-spark")
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if "JAVA_HOME" in os.environ else "java"
    if shutil.which(java) is None:
        pytest.skip("Spark needs Java 17, and there is no java on the path or in JAVA_HOME")
    folder = tmp_path_factory.mktemp("cluster")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # read by the JVM of the driver
    try:
        yield folder, run_cluster("start", folder)
    finally:
        run_cluster("stop", folder)


@pytest.fixture
def connect_server(cluster):
    """A Connect server on the cluster: its address."""
    try:
        yield run_cluster("connect", cluster[0])
    finally:
        run_cluster("disconnect", cluster[0])


@pytest.fixture(scope="session")
def events(tmp_path_factory):
    """40 files of 5,000 events, in no order of time, with gaps: (folder, events in memory)."""
    import numpy as np
    import pandas as pd

    rng, n = np.random.default_rng(0), 200_000
    events = pd.DataFrame({"user_id": rng.integers(0, 500, n), "item_id": rng.integers(0, 80, n)})
    events = "x" + events.astype("str")
    moments = pd.Timestamp("2024-03-01", tz="UTC") + pd.to_timedelta(
        rng.integers(0, 10**12, n), "us"
    )
    events["timestamp"] = pd.Series(moments).astype("datetime64[us, UTC]")
    events["watch_time"] = np.where(rng.random(n) < 0.3, np.nan, rng.exponential(100, n))
    events["duration"] = np.where(rng.random(n) < 0.3, np.nan, rng.exponential(100, n))
    events["like_count"] = pd.Series(rng.integers(0, 2, n), dtype="Int64").mask(rng.random(n) < 0.7)
    events["rating"] = np.where(rng.random(n) < 0.9, np.nan, rng.integers(1, 6, n))
    folder = tmp_path_factory.mktemp("log") / "events"
    folder.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(n), 40)):
        events.iloc[rows].to_parquet(folder / f"part-{number:02d}.parquet", index=False)
    return folder, events
