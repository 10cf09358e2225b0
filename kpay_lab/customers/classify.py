"""Predict a tag or an outcome of a user, and judge accuracy, stability and reliability."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_recall_fscore_support
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.tree import DecisionTreeClassifier

from kpay_lab.customers.calibration import calibration_curve, calibration_error
from kpay_lab.customers.encoding import BASE, base_rate, encoder
from kpay_lab.customers.importances import importances
from kpay_lab.stats import random_state


@dataclass(frozen=True)
class Classification:
    """What classifiers achieve on held-out users; the base rate is the first row of each frame.

    Parameters
    ----------
    accuracy : DataFrame
        By model, means over seeds: accuracy, balanced accuracy.
    per_class : DataFrame
        model, label, precision, recall, f1, n (first seed).
    stability : DataFrame
        By model: standard deviation of accuracy over seeds, and agreement: the share of
        the same users to whom models of two seeds give the same label.
    reliability : DataFrame
        By model: Brier score (sum over classes) and expected calibration error (mean over
        classes), means over seeds.
    curves : Mapping of model to calibration curve
        Of the most frequent label, first seed.
    """

    accuracy: pd.DataFrame
    per_class: pd.DataFrame
    stability: pd.DataFrame
    reliability: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]


def classifiers(seed: int) -> dict[str, Pipeline]:
    """Return the unfitted models: gaps filled by the median, text one-hot encoded."""
    models = {
        "naive Bayes": GaussianNB(var_smoothing=1e-3),
        "decision tree": DecisionTreeClassifier(
            max_depth=4, min_samples_leaf=20, random_state=seed
        ),
        "random forest": RandomForestClassifier(60, min_samples_leaf=3, random_state=seed),
    }
    encoded = {name: make_pipeline(encoder(), model) for name, model in models.items()}
    return {BASE: base_rate(), **encoded}


def judge_classifiers(
    features: pd.DataFrame, outcome: pd.Series, *, seeds: Sequence[int] = (0, 1, 2)
) -> Classification:
    """Fit the classifiers on 70 % of users and judge them on the same 30 % for every seed.

    A seed resamples the training users and drives the models, so that its spread shows
    what chance in the data and in the model does to the answer.

    Parameters
    ----------
    features : DataFrame
        Numbers (gaps allowed) and text; index user_id.
    outcome : Series
        Label of each user, aligned by index; users without one are left out.

    Raises
    ------
    ValueError
        If fewer than two labels are left, or a label has fewer than two users.
    """
    X, y = _labelled(features, outcome)
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    truth, labels = y_test.to_numpy(), np.unique(y)
    fitted = _fit_over_seeds(train, test, y_train, labels, seeds)
    rows = {name: _judge(truth, labels, probas) for name, probas in fitted.items()}
    table = pd.DataFrame(rows).T.rename_axis("model")
    common = int(np.argmax([(truth == label).sum() for label in labels]))
    curves = {
        name: calibration_curve(truth == labels[common], probas[0][:, common])
        for name, probas in fitted.items()
    }
    return Classification(
        accuracy=table[["accuracy", "balanced accuracy"]],
        per_class=_per_class(truth, labels, fitted),
        stability=table[["sd of accuracy", "agreement"]],
        reliability=table[["Brier", "calibration error"]],
        curves=curves,
    )


def _fit_over_seeds(
    X_train: pd.DataFrame,
    X_test: pd.DataFrame,
    y_train: pd.Series,
    labels: np.ndarray,
    seeds: Sequence[int],
) -> dict[str, list[np.ndarray]]:
    """Return each model's probabilities of ``labels`` for the test users, one array a seed."""
    fitted: dict[str, list[np.ndarray]] = {name: [] for name in classifiers(0)}
    for seed in seeds:
        drawn = np.random.default_rng(seed).integers(0, len(X_train), len(X_train))
        for name, model in classifiers(seed).items():
            model.fit(X_train.iloc[drawn], y_train.iloc[drawn])
            proba = pd.DataFrame(model.predict_proba(X_test), columns=model.classes_)
            fitted[name].append(proba.reindex(columns=labels, fill_value=0.0).to_numpy())
    return fitted


def fitted_tree(
    features: pd.DataFrame, outcome: pd.Series, *, depth: int = 3, seed: int = 0
) -> Pipeline:
    """Fit a decision tree of ``depth`` questions to all labelled users, to be drawn."""
    tree = classifiers(seed)["decision tree"].set_params(decisiontreeclassifier__max_depth=depth)
    return tree.fit(*_labelled(features, outcome))


def stability_over_time(windows: Sequence[tuple[pd.DataFrame, pd.Series]]) -> pd.DataFrame:
    """Fit on each window, judge on the next: accuracy by model and step, beside the base rate.

    ``agreement`` compares with the model fitted on the judged window itself: how much of
    what the older model says would the newer one still say?

    Parameters
    ----------
    windows : sequence of (features, outcome)
        In time order, for instance `features.user_features` at successive cuts.
    """
    data = [_labelled(*window) for window in windows]
    rows = []
    for step, ((X_old, y_old), (X_new, y_new)) in enumerate(itertools.pairwise(data), 1):
        for name, model in classifiers(0).items():
            said = model.fit(X_old, y_old).predict(X_new.reindex(columns=X_old.columns))
            newer = classifiers(0)[name].fit(X_new, y_new).predict(X_new)
            score = accuracy_score(y_new, said)
            rows.append((step, name, score, float(np.mean(said == newer))))
    return pd.DataFrame(rows, columns=["step", "model", "accuracy", "agreement"])


def feature_weights(
    features: pd.DataFrame, outcome: pd.Series, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Weigh each feature three ways, best first by permutation.

    Returns
    -------
    DataFrame, index feature
        ``mutual information`` (nats, alone), ``forest`` (impurity importance; text columns
        summed over their levels), ``permutation`` (log-loss lost on held-out users when
        the column is shuffled) and its ``sd``; ``selected``: permutation above two
        standard deviations.
    """
    X, y = _labelled(features, outcome)
    seed = random_state(rng)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=seed
    )
    model = classifiers(seed)["random forest"].fit(X_train, y_train)
    shuffled = importances(model, X_test, y_test, rng=rng).set_index("feature")
    text = X.select_dtypes(exclude="number").columns
    codes = X.assign(**{name: pd.factorize(X[name])[0] for name in text})
    codes = codes.fillna(codes.median())
    table = pd.DataFrame(
        {
            "mutual information": mutual_info_classif(
                codes, y, discrete_features=codes.columns.isin(text), random_state=seed
            ),
            "forest": _by_source(model, list(X)),
        },
        index=pd.Index(list(X), name="feature"),
    )
    table[["permutation", "sd"]] = shuffled[["importance", "sd"]]
    table["selected"] = table["permutation"] > 2 * table["sd"]
    return table.sort_values("permutation", ascending=False)


def _labelled(features: pd.DataFrame, outcome: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    y = outcome.reindex(features.index).dropna()
    counts = y.value_counts()
    if len(counts) < 2 or counts.min() < 2:
        raise ValueError(
            f"the outcome has labels {dict(counts)}; classification needs two labels or more, "
            "each with two users or more"
        )
    X = features.loc[y.index].dropna(axis=1, how="all")
    text = X.select_dtypes(exclude="number").columns
    numbers = X.select_dtypes(include="number").columns
    return X.astype({**dict.fromkeys(text, object), **dict.fromkeys(numbers, float)}), y


def _judge(truth: np.ndarray, labels: np.ndarray, probas: list[np.ndarray]) -> dict[str, float]:
    said = [labels[proba.argmax(axis=1)] for proba in probas]
    marks = truth[:, None] == labels
    scores = [accuracy_score(truth, one) for one in said]
    pairs = [np.mean(a == b) for i, a in enumerate(said) for b in said[i + 1 :]]
    errors = [
        np.mean([calibration_error(marks[:, j], proba[:, j]) for j in range(len(labels))])
        for proba in probas
    ]
    return {
        "accuracy": float(np.mean(scores)),
        "balanced accuracy": float(np.mean([balanced_accuracy_score(truth, one) for one in said])),
        "sd of accuracy": float(np.std(scores, ddof=1)) if len(scores) > 1 else float("nan"),
        "agreement": float(np.mean(pairs)) if pairs else float("nan"),
        "Brier": float(np.mean([((proba - marks) ** 2).sum(axis=1).mean() for proba in probas])),
        "calibration error": float(np.mean(errors)),
    }


def _per_class(
    truth: np.ndarray, labels: np.ndarray, fitted: dict[str, list[np.ndarray]]
) -> pd.DataFrame:
    frames = []
    for name, probas in fitted.items():
        said = labels[probas[0].argmax(axis=1)]
        values = precision_recall_fscore_support(truth, said, labels=labels, zero_division=0)
        frame = pd.DataFrame(dict(zip(("precision", "recall", "f1", "n"), values, strict=True)))
        frames.append(frame.assign(model=name, label=labels))
    return pd.concat(frames)[["model", "label", "precision", "recall", "f1", "n"]]


def _by_source(model: Pipeline, names: list[str]) -> np.ndarray:
    """Sum the importances of a column's one-hot levels back onto the column."""
    encoder, forest = model[0], model[-1]
    total = dict.fromkeys(names, 0.0)
    for made, value in zip(
        encoder.get_feature_names_out(), forest.feature_importances_, strict=True
    ):
        source = made if made in total else max((n for n in names if made.startswith(n)), key=len)
        total[source] += float(value)
    return np.array([total[name] for name in names])
