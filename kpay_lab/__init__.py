"""kpay_lab: a research workbench for knowledge payment.

The modules, in reading order. An import only ever goes down this list's layers.

The afternoon's path
    columns               every column name, once
    data.tables           the five tables and the schema of each
    interest.totals       events -> one row per (user, item)
    interest.weighting    totals -> degree of interest in [0, 1]
    interest.matrix       InterestMatrix: users x items, with its two indexes
    interest.formulas     P, R, S and C as printed, then generalised
    recommend.base        what a model sees, what it must do, and the only ranking code
    recommend.ease        one good model in fifty lines
    evaluate.ranking      precision, recall, MAP, MRR, NDCG at k
    evaluate.compare      models x split -> intervals and a verdict
"""

__version__ = "0.1.0"
