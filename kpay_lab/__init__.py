"""kpay_lab: a research workbench for knowledge payment.

    import kpay_lab as kp

    log = kp.open_log("my.csv")               open a log: a file, a folder or a DataFrame
    model = kp.fit(log, "ease", reg=200)      fit a model to it
    model.recommend("10001", k=5)             what to show a user, and why
    model.recommend_new(["Python 入门"], k=5)  what to show somebody who is not in the log
    model.similar("Python 入门", k=5)          what is like an item
    result = kp.compare(log, ["popularity", "ease", "als"])
    result.table()                            means with intervals, and leads over popularity
    result.verdict()                          who beats whom, in sentences
    result.plot(ax=None)                      the same as a picture
    kp.evaluate_lists(lists, relevant, ks=[10])    measure lists made elsewhere
    kp.figures(log).table()                   GMV, buyers, refunds: the period and the one before

The modules, in reading order. An import only ever goes down this list's layers.

The afternoon's path
    columns               every column name, once
    data.tables           the seven tables and the schema of each
    interest.totals       events -> one row per (user, item)
    interest.weighting    totals -> degree of interest in [0, 1]
    interest.matrix       InterestMatrix: users x items, with its two indexes
    interest.formulas     P, R, S and C as printed, then generalised
    recommend.base        what a model sees, what it must do, and the only ranking code
    recommend.ease        one good model in fifty lines
    evaluate.ranking      precision, recall, MAP, MRR, NDCG at k
    evaluate.compare      models x split -> intervals and a verdict
    workbench             the lines above
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpay_lab.workbench import (
        Comparison,
        Fitted,
        Log,
        compare,
        evaluate_lists,
        figures,
        fit,
        open_log,
    )

__version__ = "0.1.0"
__all__ = ["Comparison", "Fitted", "Log", "compare", "evaluate_lists", "figures", "fit", "open_log"]

# What others call it, and the call that is right here.
RIGHT_CALLS = {
    **dict.fromkeys(
        ("load", "load_log", "load_data", "open", "read", "read_csv", "read_parquet", "from_csv"),
        "open a log with kp.open_log(...)",
    ),
    **dict.fromkeys(
        ("train", "fit_model", "build_model", "Model", "model"),
        'fit a model with kp.fit(log, "ease")',
    ),
    **dict.fromkeys(
        ("recommend", "predict", "similar", "score"),
        'fit a model first: kp.fit(log, "ease").recommend(user_id)',
    ),
    **dict.fromkeys(
        ("evaluate", "evaluate_model", "benchmark", "compare_models"),
        'compare models with kp.compare(log, ["popularity", "ease"]), or measure lists '
        "with kp.evaluate_lists(lists, relevant)",
    ),
    **dict.fromkeys(
        ("plot", "table", "verdict"), 'compare first: kp.compare(log, ["popularity", "ease"])'
    ),
}


def __getattr__(name: str) -> Any:
    """Hand on a name of the workbench, which is imported with the first."""
    if name in __all__:
        from kpay_lab import workbench

        return getattr(workbench, name)
    remedy = RIGHT_CALLS.get(name, f"it has {', '.join(__all__)}")
    raise AttributeError(f"kpay_lab has no {name!r}; {remedy}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
