"""Past one machine: the same totals, and alternating least squares, on a Spark cluster.

The only file that imports pyspark. Whatever is as long as the data travels through Parquet
in the *exchange*, a folder that Spark's workers and this process both reach. That is why ibis
writes the query of the totals and does not run it: its Spark backend would collect the answer in
the driver's memory.
"""

import tempfile
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.ml.recommendation import ALS
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as fn
from scipy.sparse import csr_array

from kpay_lab.data.cells import FORMULA, INVISIBLE, LEADING_SIGN, QUOTED
from kpay_lab.data.id_cells import EXPONENT, LARGEST_EXACT, NEVER_SEEN, WHOLE_FLOAT
from kpay_lab.interest.parquet import WANTED, known_columns, schema_faults
from kpay_lab.recommend.base import LARGEST_SEED, TopK, Training, trained_items
from kpay_lab.recommend.linear import FactorModel
from kpay_lab.settings import Ranges, check_settings

KINDS = {"string": "text", "timestamp": "time", "timestamp_ntz": "time", "date": "time"}
TYPES = {
    "user_id": "string",
    "item_id": "string",
    "time": "int64",
    "place": "struct<file_path: string, row_index: int64>",
}  # of the columns that are no measures
NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "boolean", "decimal")


def connect(master: str = "local[*]") -> SparkSession:
    """Return the session of a cluster, a running one where it is the same.

    Parameters
    ----------
    master : str
        ``local[*]`` for this machine's cores, ``spark://host:port`` for a standalone
        cluster, ``sc://host:port`` for a Spark Connect server; another one as Spark has it.
    """
    builder = SparkSession.builder.appName("kpay_lab")
    if master.startswith("sc://"):
        builder = builder.remote(master)
    else:
        builder = builder.master(master).config("spark.ui.showConsoleProgress", False)
    session = builder.getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


@dataclass(frozen=True)
class SparkLog:
    """Parquet that Spark reads, from any store it knows, as the log of `interest.pushdown`.

    A sum is taken in the order in which tasks end, so its last digits may differ from run to run.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    exchange : str
        Folder or address for the answers; empty for a temporary folder of this machine,
        which is enough where the workers run on it too.
    """

    frame: DataFrame
    exchange: str = ""

    @classmethod
    def open(cls, session: SparkSession, paths: Sequence[str], exchange: str = "") -> Self:
        """Look at the schema; no row is read.

        Raises
        ------
        ValueError
            If the files are no Parquet, do not fit together, lack an id or hold a column of
            the wrong type.
        """
        try:
            raw = session.read.option("mergeSchema", True).parquet(*paths)
            kinds = {name: _kind(dtype) for name, dtype in raw.dtypes}
        except PySparkException as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"Spark cannot read {paths[0]} and its like: {reason}") from error
        if faults := schema_faults("the log", kinds):
            raise ValueError("; ".join(faults))
        names_in_files = known_columns(raw.columns)
        types = dict(raw.dtypes)
        chosen = []
        for name in WANTED:
            if name in names_in_files:
                name_in_files = names_in_files[name][0]
                chosen.append(_column(name, name_in_files, types[name_in_files]))
        # A row's place in the log: totals are sorted by the first place of their pair.
        place = fn.struct("_metadata.file_path", "_metadata.row_index").alias("place")
        frame = raw.select(*chosen, place)
        return cls(frame, exchange)

    @property
    def events(self) -> ir.Table:
        """The events as a table that ibis knows by its schema alone."""
        schema = {name: TYPES.get(name, "float64") for name in self.frame.columns}
        return ibis.table(schema, name="log")

    def fetch(self, answer: ir.Table) -> pa.Table:
        """Run the query over the whole log on the cluster, and read the answer from the exchange.

        Rows are sorted there by ``first``, whose places in files do not come over.
        """
        self.frame.createOrReplaceTempView("log")
        query = ibis.pyspark.compile(answer)
        found = self.frame.sparkSession.sql(query)
        if "first" in found.columns:
            found = found.orderBy("first").drop("first")
        return fetch(found, self.exchange)

    def total(self, values: ir.NumericColumn) -> ir.NumericScalar:
        """Add up as Spark does."""
        return values.sum()

    def only(self, column: str, ids: pd.Series) -> Self:
        """Keep the rows whose ``column`` is among the ids."""
        if ids.empty:  # Spark Connect cannot make a frame without rows
            return replace(self, frame=self.frame.limit(0))
        table = pa.table({column: pa.array(ids, pa.string())})
        kept_ids = fn.broadcast(self.frame.sparkSession.createDataFrame(table))
        rows = self.frame.join(kept_ids, column, "left_semi")
        return replace(self, frame=rows)


def _kind(dtype: str) -> str:
    """Return what `interest.parquet.schema_faults` calls a type of Spark."""
    if dtype.partition("(")[0] in NUMBERS:
        return "number"
    return "nothing" if dtype == "void" else KINDS.get(dtype, dtype)


def _column(name: str, name_in_files: str, dtype: str) -> Column:
    """Return a column of the files as `interest.pushdown` has it, empty text and NaN as null."""
    column = fn.col(f"`{name_in_files}`")
    if name == "timestamp":
        return fn.unix_micros(column.cast("timestamp")).alias("time")
    if name in ("user_id", "item_id"):
        return _id(column, dtype).alias(name)
    number = column.cast("double")
    return fn.nullif(number, fn.lit(float("nan"))).alias(name)


def _id(column: Column, dtype: str) -> Column:
    """Write an id as `data.parsing.parse_ids` does; one that cannot be told apart is null.

    Not followed is what that does by the look of a whole column (chapters 1.0, 1.1, 2.0).
    """
    if dtype in ("float", "double"):
        is_whole = (column == fn.floor(column)) & (fn.abs(column) <= LARGEST_EXACT)
        text = fn.when(is_whole, column.cast("bigint").cast("string"))
        return text.when(column != fn.floor(column), column.cast("string"))
    text = fn.regexp_replace(column.cast("string"), NEVER_SEEN, "")
    text = fn.btrim(text, fn.lit(INVISIBLE))
    for sign, inside in ((FORMULA, "$1"), (QUOTED, "$1$2$3"), (LEADING_SIGN, "$1")):
        text = fn.regexp_replace(text, sign, inside)
    text = fn.btrim(text, fn.lit(INVISIBLE))
    text = fn.when(text.rlike(WHOLE_FLOAT), fn.regexp_replace(text, r"\.0*$", "")).otherwise(text)
    return fn.when(text.rlike(EXPONENT) | (text == ""), fn.lit(None)).otherwise(text)


def fetch(frame: DataFrame, exchange: str = "") -> pa.Table:
    """Have a frame written to the exchange, read it in its order, and clear it away.

    Raises
    ------
    ValueError
        If what the workers wrote cannot be seen from here.
    """
    files, folder = _new_folder(exchange)
    frame.write.parquet(_address(files, folder))
    try:
        found = files.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
        parts = sorted(info.path for info in found if info.path.endswith(".parquet"))
        if not parts:
            raise ValueError(
                f"the workers' answer is not to be seen at {folder}; name a folder or store as "
                "exchange that the workers and this machine both reach"
            )
        return ds.dataset(parts, filesystem=files, format="parquet").to_table()
    finally:
        _remove(files, folder)


def send(session: SparkSession, table: pa.Table, exchange: str = "") -> "tuple[DataFrame, Sent]":
    """Write a table to the exchange for Spark to read; it stays until ``Sent.remove``."""
    files, folder = _new_folder(exchange)
    files.create_dir(folder)
    pq.write_table(table, f"{folder}/part-0.parquet", filesystem=files)
    return session.read.parquet(_address(files, folder)), Sent(files, folder)


@dataclass(frozen=True)
class Sent:
    """A folder in the exchange."""

    files: pyarrow.fs.FileSystem
    folder: str

    def remove(self) -> None:
        """Clear it away."""
        _remove(self.files, self.folder)


def _new_folder(exchange: str) -> tuple[pyarrow.fs.FileSystem, str]:
    address = exchange or tempfile.gettempdir()
    files, folder = pyarrow.fs.FileSystem.from_uri(address)
    return files, f"{folder.rstrip('/')}/kpay-{uuid.uuid4().hex}"


def _address(files: pyarrow.fs.FileSystem, folder: str) -> str:
    """Name a folder so that Spark, whose default store may be another, takes the same one."""
    return f"{'file' if files.type_name == 'local' else files.type_name}://{folder}"


def _remove(files: pyarrow.fs.FileSystem, folder: str) -> None:
    if files.get_file_info(folder).type is not pyarrow.fs.FileType.NotFound:
        files.delete_dir(folder)


@dataclass(kw_only=True)
class SparkALS(FactorModel):
    """Score by factors that Spark's MLlib has learned; see `recommend.als.ALS` for the idea.

    Minimise Σ_ui c_ui (1[a_ui > 0] − x_u·y_i)² + reg (Σ n_u‖x_u‖² + Σ n_i‖y_i‖²) with
    c_ui = 1 + alpha a_ui: other than in `ALS`, the penalty grows with the numbers n_u and
    n_i of degrees stored, so ``reg`` is smaller. A cold user or item has factors 0.

    References
    ----------
    Hu, Koren, Volinsky (2008), Collaborative filtering for implicit feedback datasets;
    Zhou et al. (2008), Large-scale parallel collaborative filtering, for the penalty.
    """

    ranges: ClassVar[Ranges] = {
        "n_factors": (1, 10_000),
        "reg": (1e-6, 1e9),
        "alpha": (1e-6, 1e9),
        "n_iterations": (1, 10_000),
        "seed": (0, LARGEST_SEED),
    }
    master: str = "local[*]"
    exchange: str = ""
    n_factors: int = 16
    reg: float = 0.1
    alpha: float = 5.0
    n_iterations: int = 15
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)

    def fit(self, train: Training) -> Self:
        """Send the degrees to Spark, have it learn, and fetch the factors."""
        table = _stored_cells(train.interest.values)
        session = connect(self.master)
        degrees, sent = send(session, table, self.exchange)
        weakref.finalize(self, sent.remove)  # a worker that is lost has its part read again
        if not self.master.startswith("sc://"):  # a Connect server has spark.checkpoint.dir
            files, folder = _new_folder(self.exchange)
            session.sparkContext.setCheckpointDir(_address(files, folder))
            weakref.finalize(self, _remove, files, folder)
        als = ALS(
            rank=self.n_factors,
            maxIter=self.n_iterations,
            checkpointInterval=3,  # each task carries the steps since: 15 can overflow its stack
            regParam=self.reg,
            alpha=self.alpha,
            implicitPrefs=True,
            userCol="user",
            itemCol="item",
            ratingCol="degree",
            seed=self.seed,
        )
        self.model_ = als.fit(degrees)
        n_users, n_items = train.interest.values.shape
        self.user_factors_ = self._factors(self.model_.userFactors, n_users)
        self.item_factors_ = self._factors(self.model_.itemFactors, n_items)
        return self

    def _factors(self, frame: DataFrame, n: int) -> np.ndarray:
        """Fetch MLlib's factors of n users or items: (n, n_factors), 0 for those it lacks."""
        learned = fetch(frame, self.exchange)
        positions = learned["id"].to_numpy()
        values = learned["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        factors = np.zeros((n, self.n_factors), dtype=np.float32)
        factors[positions] = values.reshape(-1, self.n_factors)
        return factors

    def top_k(
        self, users: np.ndarray, k: int, *, exclude: csr_array, candidates: np.ndarray | None = None
    ) -> TopK:
        """Rank on the cluster (``recommendForAllUsers``): the lists of `recommend.base.top_k`.

        For users and items too many to score here. MLlib cannot leave out items, so it is asked
        for longer lists, and the items that must not be listed are removed from them.

        Parameters
        ----------
        users, k, exclude, candidates
            As in `recommend.base.top_k`.
        """
        if candidates is None:
            is_barred = np.zeros(exclude.shape[1], dtype=bool)
        else:
            is_barred = trained_items(exclude) & ~candidates  # MLlib lists trained items only
        n_excluded = np.diff(exclude.indptr).max(initial=0)
        n_removed_at_most = int(n_excluded) + int(is_barred.sum())
        n_asked = min(k + n_removed_at_most, exclude.shape[1])
        session = connect(self.master)
        excluded_pairs = _stored_cells(exclude).select(["user", "item"])
        excluded, sent = send(session, excluded_pairs, self.exchange)
        lists = self.model_.recommendForAllUsers(n_asked)
        entries = lists.select("user", fn.explode("recommendations").alias("entry"))
        entries = entries.select("user", "entry.item", "entry.rating")
        entries = entries.join(excluded, ["user", "item"], "left_anti")
        if is_barred.any():
            barred_items = pa.table({"item": np.flatnonzero(is_barred)})
            entries = entries.join(session.createDataFrame(barred_items), "item", "left_anti")
        best_first = Window.partitionBy("user").orderBy(fn.desc("rating"), "item")
        place = fn.row_number().over(best_first) - 1
        ranked = entries.withColumn("place", place).where(fn.col("place") < k)
        found = fetch(ranked, self.exchange).to_pandas()
        sent.remove()
        return _lists(found, np.asarray(users, dtype=np.intp), k)


def _stored_cells(matrix: csr_array) -> pa.Table:
    """Return the stored cells as user, item (positions) and degree."""
    cells = matrix.tocoo()
    columns = {
        "user": cells.row.astype(np.int32),
        "item": cells.col.astype(np.int32),
        "degree": cells.data,
    }
    return pa.table(columns)


def _lists(found: pd.DataFrame, users: np.ndarray, k: int) -> TopK:
    """Put rows of user, place (from 0), item and rating into the lists of the users asked for."""
    found = found[found["user"].isin(users)]
    row = pd.Index(users).get_indexer(found["user"])
    place = found["place"].to_numpy()
    shape = (len(users), k)
    items = np.full(shape, -1)
    scores = np.full(shape, -np.inf, dtype=np.float32)
    items[row, place] = found["item"].to_numpy()
    scores[row, place] = found["rating"].to_numpy()
    return TopK(users, items, scores)
