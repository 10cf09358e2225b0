"""The ranking metrics that Microsoft Recommenders has too, from the same tables of ids."""

import numpy as np
import pandas as pd
from steps import metrics
from steps.metrics import K, tables

floor, ours = metrics.floor, metrics.ours


def peer(size):
    from recommenders.evaluation import python_evaluation as evaluation

    recommended, relevant = tables()
    names = {"userID": recommended["user_id"], "itemID": recommended["item_id"]}
    predicted = pd.DataFrame({**names, "prediction": 1.0 / recommended["rank"]})
    wanted = relevant.rename(columns={"user_id": "userID", "item_id": "itemID"}).assign(rating=1.0)
    five = {
        "precision": evaluation.precision_at_k,
        "recall": evaluation.recall_at_k,
        "recall_capped": evaluation.r_precision_at_k,
        "map": evaluation.map_at_k,
        "ndcg": evaluation.ndcg_at_k,
    }
    yield
    values = {name: metric(wanted, predicted, k=K) for name, metric in five.items()}
    yield
    yield values


def check(theirs, mine):
    same = ("precision", "recall", "map", "ndcg")
    for name in same:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=0, atol=1e-9, err_msg=name)
    return f"{', '.join(same)} equal to 1e-9"
