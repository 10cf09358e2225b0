"""The steps, their aims, and why a step misses its aim where it does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One line of the table.

    ``aim`` is the least ratio peer ÷ ours of the time; ``memory`` the largest share of the
    peer's extra memory; ``of_floor`` the largest multiple of the floor's time. ``why`` says
    what stands in the way where an aim is missed.
    """

    name: str
    module: str
    size: str
    peer: str
    floor: str
    aim: float
    memory: float | None = None
    of_floor: float | None = None
    peers: str = "peers"
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """One way of reading a log next to another, each a way and a log; ``aim`` is the most."""

    name: str
    peer: tuple[str, str]
    ours: tuple[str, str]
    aim: float


READING = (
    Reading("clean CSV ÷ pandas + pandera", ("pandas", "clean"), ("ours", "clean"), 2.5),
    Reading("CSV with 1 % bad rows ÷ clean CSV", ("ours", "clean"), ("ours", "bad"), 1.3),
    Reading("Parquet ÷ pandas", ("pandas", "parquet"), ("ours", "parquet"), 3),
)
READING_MISSES = (
    "Where a line misses its aim: in a column with a bad cell every text is matched against the "
    "forms that a number or a time may have, which a clean column is not. `pandas.read_parquet` "
    "only maps the columns into memory; ours also reads each id, looks it up in its own table, and "
    "validates every column."
)

STEPS = (
    Step(
        "Parquet log → interest matrix",
        "matrix_parquet",
        "M",
        "pandas groupby + factorize + CSR",
        "pyarrow reads the columns",
        3,
        of_floor=2.5,
    ),
    Step(
        "Parquet log → DuckDB's totals → interest matrix",
        "matrix_duckdb",
        "M",
        "pandas groupby + factorize + CSR",
        "pyarrow reads the columns",
        1,
        memory=1,
        why="Nearly every event of this log is a pair of its own, so that the totals are as long "
        "as the log.",
    ),
    Step(
        "Parquet log → DuckDB's totals",
        "totals_duckdb",
        "M",
        "pandas groupby",
        "DuckDB's own group-by",
        1,
        memory=1,
        of_floor=2,
        why="Text ids become numbers and back, the first event of each pair is found, and nearly "
        "every event of this log is a pair of its own.",
    ),
    Step(
        "log in memory → interest matrix",
        "matrix_memory",
        "M",
        "pandas groupby + factorize + CSR",
        "summing the measures",
        3,
        memory=1 / 3,
        why="Numbering the text ids takes half of our time, and pandas numbers them no faster. The "
        "totals alone (8.8 million pairs, five columns of 8 bytes: 352 MB) are more than a third "
        "of the peer's memory.",
    ),
    Step(
        "EASE, fit",
        "ease",
        "S",
        "NumPy inverse in float64",
        "one Cholesky factor",
        2.8,
        memory=0.5,
    ),
    Step(
        "item neighbours, fit",
        "neighbours",
        "S",
        "implicit CosineRecommender",
        "sparse product XᵀX",
        1,
        why="The sparse product alone takes about as long as the whole of the peer, which keeps "
        "the largest as it multiplies; ours settles ties by evidence and position instead.",
    ),
    Step(
        "top 10 from 64 factors",
        "topk_factors",
        "S",
        "implicit recommend",
        "bare matrix product",
        2.5,
    ),
    Step(
        "top 10 from 64 factors",
        "topk_factors",
        "M",
        "implicit recommend",
        "bare matrix product",
        1.5,
    ),
    Step(
        "top 10 from EASE",
        "topk_ease",
        "S",
        "RecTools recommend",
        "sparse product X B",
        8,
        peers="peers-rectools",
        why="X B itself takes nearly all of our time: what is left to gain lies in the product.",
    ),
    Step(
        "seven ranking metrics, 100,000 users",
        "metrics",
        "M",
        "RecTools calc_metrics",
        "reading every id once",
        5,
        peers="peers-rectools",
    ),
    Step(
        "the same, next to five of them",
        "metrics_recommenders",
        "M",
        "Microsoft Recommenders",
        "reading every id once",
        50,
        peers="peers-rectools",
    ),
    Step(
        "1,000 bootstrap resamples, 100,000 × 8",
        "bootstrap",
        "M",
        "SciPy percentile bootstrap",
        "drawing the rows",
        5,
    ),
)
GROWTH = {"1M": 1, "3M": 3, "M": 10, "30M": 30}  # millions of events
ENGINES = {"memory": "matrix_parquet", "DuckDB at 1 GB": "matrix_duckdb"}  # name → step

# The shop that notebooks are measured on: its users, in three sizes, and what all three share.
SHOPS = (10_000, 20_000, 60_000)
N_SHOP_ITEMS = 3_000
N_SHOP_DAYS = 180
SHOP_SEED = 3


@dataclass(frozen=True)
class NotebookRun:
    """One way of running a notebook: what is set, and the users of the shops it is run on."""

    name: str
    notebook: str
    settings: tuple[str, ...] = ()
    users: tuple[int, ...] = SHOPS


MOST_MEMORY = {20_000: 3_000, 60_000: 8_000}  # MB, by users of the shop
MOST_SECONDS = {("04, n_trials=0", 20_000): 60}
MOST_EXPONENT = 1.1
