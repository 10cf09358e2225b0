"""Totals and ALS on a real cluster of two workers, and with one of them lost."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from kpay_lab.evaluate.compare import compare
from kpay_lab.evaluate.split import make_split
from kpay_lab.interest import pushdown, totals
from kpay_lab.interest.engines import Spark
from kpay_lab.interest.weighting import interest_matrix
from kpay_lab.recommend.als import ALS
from kpay_lab.recommend.base import top_k
from kpay_lab.workbench import open_log
from tests.interest.test_engines import WRITTEN_IDS, parquet_of_ids

pytestmark = pytest.mark.spark


OVER_CONNECT = """
import sys
import numpy as np
from kpay_lab.interest import pushdown
from kpay_lab.interest.matrix import InterestMatrix
from kpay_lab.recommend.base import Training, top_k
from kpay_lab.spark import SparkALS, SparkLog, connect
address, folder = sys.argv[1:]
found = pushdown.pair_totals(SparkLog.open(connect(address), [folder]))
found.pairs.to_pickle(folder + "/../connect.pkl")
blocks = np.kron(np.eye(2), np.ones((6, 6)))
blocks[0, 0] = 0
rows, columns = blocks.nonzero()
pairs = [f"u{row}" for row in rows], [f"i{column}" for column in columns]
matrix = InterestMatrix.from_pairs(*pairs, np.ones(len(rows)))
model = SparkALS(master=address, n_factors=4, n_iterations=2).fit(Training.from_matrix(matrix))
asked = {"users": np.arange(12), "k": 3, "exclude": matrix.values}
ours, theirs = top_k(model, **asked), model.top_k(**asked)
assert matrix.items[theirs.items[0, 0]] == "i0", theirs.items[0]
assert np.allclose(ours.scores, theirs.scores, atol=1e-5)
"""


def test_over_connect(connect_server, events):
    """In a process of its own, and first: its server and `session` would share the cores."""
    folder, expected = events
    command = [sys.executable, "-c", OVER_CONNECT, connect_server, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    found = pd.read_pickle(folder.parent / "connect.pkl")
    pd.testing.assert_frame_equal(found, totals.pair_totals(expected).pairs, rtol=1e-12, atol=0)


@pytest.fixture(scope="module")
def session(cluster):
    from kpay_lab.spark import connect

    session = connect(cluster[1])
    # Small tasks, so that a job lasts long enough to lose a worker in its middle.
    session.conf.set("spark.sql.files.maxPartitionBytes", "64k")
    session.conf.set("spark.sql.files.openCostInBytes", "64k")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def log(session, events):
    from kpay_lab.spark import SparkLog

    return SparkLog.open(session, [str(events[0])])


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found.pairs, expected.pairs, rtol=1e-12, atol=0)
    pd.testing.assert_index_equal(found.users, expected.users)
    pd.testing.assert_index_equal(found.items, expected.items)


@pytest.mark.parametrize("half_life_days", [None, 3.0])
def test_totals_equal_those_in_memory(log, events, half_life_days):
    found = pushdown.pair_totals(log, half_life_days=half_life_days)
    assert_same(found, totals.pair_totals(events[1], half_life_days=half_life_days))


def test_the_log_of_a_notebook_equals_the_one_of_duckdb(cluster, log, events):
    master = cluster[1]
    folder = events[0].parent
    ours = open_log(folder, engine=Spark(master=master))
    theirs = open_log(folder, engine="duckdb")
    assert ours.cut == theirs.cut
    pd.testing.assert_frame_equal(ours.tables.events, theirs.tables.events, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", WRITTEN_IDS)
def test_ids_are_read_as_memory_reads_them(session, tmp_path, kind):
    from kpay_lab.spark import SparkLog

    written, expected = WRITTEN_IDS[kind]
    folder = parquet_of_ids(tmp_path, written)
    found = SparkLog.open(session, [str(folder / "events.parquet")])
    assert found.frame.toPandas()["user_id"].tolist() == expected


def test_faults_of_the_schema_are_told_at_once(session, tmp_path):
    from kpay_lab.spark import SparkLog

    pd.DataFrame({"user_id": ["u"], "watch_time": ["long"]}).to_parquet(tmp_path / "part.parquet")
    with pytest.raises(ValueError, match="no column item_id; the log: watch_time is of type text"):
        SparkLog.open(session, [str(tmp_path)])


def test_the_exchange_is_left_as_it_was_found(log, tmp_path):
    from kpay_lab.spark import fetch

    assert fetch(log.frame.limit(3), str(tmp_path)).num_rows == 3
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def movielens(real_data):
    tables = open_log(real_data("ml-100k"), dataset="movielens").tables
    return make_split(tables, interest_matrix, how="stratified_item")


@pytest.fixture(scope="module")
def compared(cluster, session, movielens):
    from kpay_lab.spark import SparkALS

    # MLlib multiplies its penalty by the degrees of a row: 0.1 n is 5 where n is 50.
    models = {"als": ALS(reg=5.0), "spark": SparkALS(master=cluster[1], reg=0.1)}
    return compare(models, movielens, [10])


def test_spark_als_ranks_as_well_as_implicit(compared):
    values = compared.values.query("metric == 'ndcg'")
    ndcg = values.groupby("model")["value"].mean()
    assert ndcg["spark"] == pytest.approx(ndcg["als"], rel=0.05)


def test_lists_made_on_the_cluster_are_the_lists_made_here(compared, movielens):
    model, users = compared.fitted["spark"], movielens.users
    candidates = movielens.candidates & (np.arange(len(movielens.candidates)) % 50 > 0)
    among = {"exclude": movielens.seen, "candidates": candidates}
    ours, theirs = top_k(model, users, 10, **among), model.top_k(users, 10, **among)
    assert np.array_equal(ours.users, theirs.users)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=1e-6)
    different = ours.items != theirs.items  # only where two scores are equal to float32
    assert different.mean() < 1e-3


def test_a_refit_equals_a_first_fit(compared, movielens):
    model = compared.fitted["spark"]
    first = model.user_factors_.copy()
    np.testing.assert_allclose(model.fit(movielens.train).user_factors_, first, atol=1e-5)


def test_a_lost_worker_changes_nothing(cluster, session, log, events):
    """The last test here: from now on the cluster has one worker."""
    worker = int((cluster[0] / "worker-2.pid").read_text())
    tracker, found = session.sparkContext.statusTracker(), []
    job = threading.Thread(target=lambda: found.append(pushdown.pair_totals(log)))
    job.start()
    stage = None
    while stage is None and job.is_alive():
        infos = [tracker.getStageInfo(one) for one in tracker.getActiveStageIds()]
        running = [one for one in infos if one and 0 < one.numCompletedTasks < one.numTasks / 2]
        stage = running[0] if running else None
        time.sleep(0.01)
    assert job.is_alive() and stage is not None, "the job was over before a worker could be lost"
    os.kill(worker, signal.SIGKILL)
    job.join(timeout=600)
    assert not job.is_alive()
    assert_same(found[0], totals.pair_totals(events[1]))
    assert "Removing worker" in (cluster[0] / "master.log").read_text()
