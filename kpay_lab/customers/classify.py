"""Predict a tag or an outcome of a user, and judge accuracy, stability and reliability."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student_t
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
from kpay_lab.findings import Finding
from kpay_lab.stats import random_state, t_interval

SCORES = [
    "accuracy",
    "balanced accuracy",
    "sd of accuracy",
    "agreement",
    "Brier",
    "calibration error",
]


FOREST = "random forest"
MODELS = (BASE, "naive Bayes", "decision tree", FOREST)
KEYS = {name: name.replace(" ", "_") for name in (*MODELS, *SCORES)}  # as metrics spell them
N_SHUFFLES = 9  # of each column, behind the choice of features
NOISE_SELECTED = 0.05  # share of features of pure noise that the choice may keep


@dataclass(frozen=True)
class Classification:
    """What classifiers achieve on held-out users; the base rate is the first row of each frame.

    Parameters
    ----------
    scores : DataFrame
        By model, means over seeds: accuracy and balanced accuracy; the standard deviation of
        accuracy over seeds (``sd of accuracy``) and ``agreement``, the share of the same users to
        whom models of two seeds give the same label; Brier score (sum over classes) and expected
        calibration error (mean over classes).
    per_class : DataFrame
        model, label, precision, recall, f1, n (first seed).
    curves : Mapping of model to calibration curve
        Of the most frequent label, first seed.
    right : DataFrame (n_judged, n_models)
        Share of the seeds whose label for the person is right.
    squared_error : DataFrame (n_judged, n_models)
        Brier score of the person, mean over seeds.
    """

    scores: pd.DataFrame
    per_class: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    right: pd.DataFrame
    squared_error: pd.DataFrame

    @property
    def n_judged(self) -> int:
        """The number of people that the models were judged on."""
        return len(self.right)

    def table(self) -> pd.DataFrame:
        """Return the scores, a row a model."""
        return self.scores

    def leads(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return each model's lead in accuracy over the base rate: ``difference, low, high``.

        Student's intervals over the people judged, each of the given level.
        """
        return _differences(self.right, level)

    def findings(self, outcome: str) -> list[Finding]:
        """Return whether the best model is right more often than the base rate.

        Where that is not shown, the second finding says whether its probabilities are worth more.
        The intervals of all models hold together in 95 %, so that one may choose the best.
        """
        learned = self.scores.drop(BASE)
        level = 1 - 0.05 / len(learned)
        best = learned["accuracy"].idxmax()
        lead = self.leads(level=level).loc[best]
        values = {"outcome": outcome, "model": best, "n_users": self.n_judged, **lead}
        values["accuracy"] = self.scores.loc[best, "accuracy"]
        values["base"] = self.scores.loc[BASE, "accuracy"]
        is_shown = lead["low"] > 0
        standing = "good" if is_shown else "watch"
        found = [Finding("portraits/outcome", standing, values, place="classifiers")]
        return found if is_shown else [*found, self._worth_of_chances(level)]

    def _worth_of_chances(self, level: float) -> Finding:
        """Say whether the probabilities of the best model are worth more than the base rate."""
        learned = self.scores.drop(BASE)
        best = learned["Brier"].idxmin()
        loss = _differences(self.squared_error, level).loc[best]
        values = {"gain": -loss["difference"], "low": -loss["high"], "high": -loss["low"]}
        values["model"] = best
        values["brier"] = self.scores.loc[best, "Brier"]
        values["base"] = self.scores.loc[BASE, "Brier"]
        return Finding("portraits/chances", "plain", values, place="calibration")


def classifiers(seed: int) -> dict[str, Pipeline]:
    """Return the unfitted models: gaps filled by the median, text one-hot encoded."""
    bayes = GaussianNB(var_smoothing=1e-3)
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=20, random_state=seed)
    forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=seed)
    return {
        BASE: base_rate(),
        "naive Bayes": make_pipeline(encoder(), bayes),
        "decision tree": make_pipeline(encoder(), tree),
        FOREST: make_pipeline(encoder(), forest),
    }


def _differences(of_people: pd.DataFrame, level: float) -> pd.DataFrame:
    """Return each model's mean difference from the base rate with its interval.

    Where nobody is judged otherwise than by the base rate, the difference is 0 and so are its ends.
    """
    rows = {}
    for name in of_people.columns.drop(BASE):
        difference = t_interval((of_people[name] - of_people[BASE]).to_numpy(), level=level)
        has_ends = np.isfinite(difference.low)
        low = difference.low if has_ends else difference.estimate
        high = difference.high if has_ends else difference.estimate
        rows[name] = {"difference": difference.estimate, "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def judge_classifiers(
    features: pd.DataFrame,
    outcome: pd.Series,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    names: Sequence[str] = (),
) -> Classification:
    """Fit the classifiers on 70 % of users and judge them on the same 30 % for every seed.

    A seed resamples the training users and seeds the models, so that the spread over seeds
    shows how much the result depends on chance.

    Parameters
    ----------
    features : DataFrame
        Numbers (gaps allowed) and text; index user_id.
    outcome : Series
        Label of each user, aligned by index; users without one are left out.
    names : sequence of str
        Models to judge beside the base rate; all of `classifiers` by default.

    Raises
    ------
    ValueError
        If fewer than two labels are left, or a label has fewer than two users.
    """
    X, y = _labelled(features, outcome)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=0
    )
    y_true = y_test.to_numpy()
    labels = np.unique(y)
    judged = [BASE, *names] if names else list(MODELS)
    probabilities = _predict_over_seeds(X_train, X_test, y_train, labels, seeds, judged)
    label_counts = [(y_true == label).sum() for label in labels]
    most_frequent = int(np.argmax(label_counts))
    has_most_frequent = y_true == labels[most_frequent]
    scores = {}
    curves = {}
    right = {}
    squared_error = {}
    for name, by_seed in probabilities.items():
        scores[name] = _scores(y_true, labels, by_seed)
        right[name] = _share_right(y_true, labels, by_seed)
        squared_error[name] = _mean_squared_error(y_true, labels, by_seed)
        first_seed = by_seed[0]
        curves[name] = calibration_curve(has_most_frequent, first_seed[:, most_frequent])
    return Classification(
        scores=pd.DataFrame(scores, SCORES).T.rename_axis("model"),
        per_class=_per_class(y_true, labels, probabilities),
        curves=curves,
        right=pd.DataFrame(right, X_test.index),
        squared_error=pd.DataFrame(squared_error, X_test.index),
    )


def _share_right(
    y_true: np.ndarray, labels: np.ndarray, probabilities: list[np.ndarray]
) -> np.ndarray:
    """Return the share of the seeds whose label is right, a person a place: float (n,)."""
    predicted = [labels[probability.argmax(axis=1)] for probability in probabilities]
    return (np.array(predicted) == y_true).mean(axis=0)


def _mean_squared_error(
    y_true: np.ndarray, labels: np.ndarray, probabilities: list[np.ndarray]
) -> np.ndarray:
    """Return each person's Brier score, mean over the seeds: float (n,)."""
    has_label = y_true[:, None] == labels
    of_seeds = [((probability - has_label) ** 2).sum(axis=1) for probability in probabilities]
    return np.mean(of_seeds, axis=0)


def _predict_over_seeds(
    X_train: pd.DataFrame,
    X_test: pd.DataFrame,
    y_train: pd.Series,
    labels: np.ndarray,
    seeds: Sequence[int],
    names: Sequence[str],
) -> dict[str, list[np.ndarray]]:
    """Return each model's probabilities of ``labels`` for the test users, one array a seed."""
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in names}
    n_train = len(X_train)
    for seed in seeds:
        resample = np.random.default_rng(seed).integers(0, n_train, n_train)
        models = classifiers(seed)
        for name in names:
            model = models[name]
            model.fit(X_train.iloc[resample], y_train.iloc[resample])
            probability = pd.DataFrame(model.predict_proba(X_test), columns=model.classes_)
            of_labels = probability.reindex(columns=labels, fill_value=0.0)
            probabilities[name].append(of_labels.to_numpy())
    return probabilities


def fitted_tree(
    features: pd.DataFrame, outcome: pd.Series, *, depth: int = 3, seed: int = 0
) -> Pipeline:
    """Fit a decision tree of ``depth`` questions to all labelled users, to be drawn."""
    X, y = _labelled(features, outcome)
    tree = classifiers(seed)["decision tree"]
    tree.set_params(decisiontreeclassifier__max_depth=depth)
    return tree.fit(X, y)


def stability_over_time(windows: Sequence[tuple[pd.DataFrame, pd.Series]]) -> pd.DataFrame:
    """Fit on each window, judge on the next: accuracy by model and step, beside the base rate.

    ``agreement`` is the share of users to whom a model fitted on the judged window itself
    gives the same label.

    Parameters
    ----------
    windows : sequence of (features, outcome)
        In time order, for instance `features.user_features` at successive cuts.
    """
    labelled = [_labelled(features, outcome) for features, outcome in windows]
    rows = []
    for step, (earlier, later) in enumerate(itertools.pairwise(labelled), 1):
        X_earlier, y_earlier = earlier
        X_later, y_later = later
        X_judged = X_later.reindex(columns=X_earlier.columns)
        refitted_models = classifiers(0)
        for name, model in classifiers(0).items():
            predicted = model.fit(X_earlier, y_earlier).predict(X_judged)
            refitted = refitted_models[name].fit(X_later, y_later)
            agreement = float(np.mean(predicted == refitted.predict(X_later)))
            accuracy = accuracy_score(y_later, predicted)
            rows.append((step, name, accuracy, agreement))
    return pd.DataFrame(rows, columns=["step", "model", "accuracy", "agreement"])


def feature_weights(
    features: pd.DataFrame, outcome: pd.Series, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Weigh each feature three ways, best first by permutation.

    Returns
    -------
    DataFrame, index feature
        ``mutual information`` (nats, alone), ``forest`` (impurity importance; text columns
        summed over their levels), ``permutation`` (log loss added on held-out users when
        the column is shuffled) and its ``sd``; ``selected``: `_beats_shuffles`.
    """
    X, y = _labelled(features, outcome)
    seed = random_state(rng)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=seed
    )
    forest = classifiers(seed)["random forest"].fit(X_train, y_train)
    found = importances(forest, X_test, y_test, rng=rng, n_repeats=N_SHUFFLES)
    permutation = found.set_index("feature")
    table = pd.DataFrame(index=pd.Index(list(X), name="feature"))
    table["mutual information"] = _mutual_information(X, y, seed)
    table["forest"] = _impurity_importances(forest, list(X))
    table[["permutation", "sd"]] = permutation[["importance", "sd"]]
    table["selected"] = _beats_shuffles(table["permutation"], table["sd"], N_SHUFFLES)
    return table.sort_values("permutation", ascending=False)


def _beats_shuffles(importance: pd.Series, sd: pd.Series, n_shuffles: int) -> pd.Series:
    """Mark the features whose own order loses less than their shuffles, as noise seldom does.

    The order of a feature of pure noise is one more shuffle. Its loss then differs from the
    mean of ``n_shuffles`` others by sd √(1 + 1 / n_shuffles), and the quotient follows
    Student's t, of which a share of `NOISE_SELECTED` lies above the bar.
    """
    deviation = sd * np.sqrt(1 + 1 / n_shuffles)
    bar = student_t.ppf(1 - NOISE_SELECTED, n_shuffles - 1)
    return importance > bar * deviation


def _mutual_information(X: pd.DataFrame, y: pd.Series, seed: int) -> np.ndarray:
    """Mutual information (nats) of the label with each column alone: float (n_features,)."""
    text = X.select_dtypes(exclude="number").columns
    numbers = X.copy()
    for name in text:
        codes, _ = pd.factorize(X[name])
        numbers[name] = codes
    numbers = numbers.fillna(numbers.median())
    is_text = numbers.columns.isin(text)
    return mutual_info_classif(numbers, y, discrete_features=is_text, random_state=seed)


def _labelled(features: pd.DataFrame, outcome: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Return the users with a label, their text as objects and their numbers as floats."""
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
    types = dict.fromkeys(text, object) | dict.fromkeys(numbers, float)
    return X.astype(types), y


def _scores(
    y_true: np.ndarray, labels: np.ndarray, probabilities: list[np.ndarray]
) -> dict[str, float]:
    """Return the scores of one model from its probabilities (n, n_labels), one array a seed."""
    has_label = y_true[:, None] == labels
    predictions = []
    rows = []
    for probability in probabilities:
        predicted = labels[probability.argmax(axis=1)]
        predictions.append(predicted)
        squared_error = (probability - has_label) ** 2
        row = {
            "accuracy": accuracy_score(y_true, predicted),
            "balanced accuracy": balanced_accuracy_score(y_true, predicted),
            "Brier": squared_error.sum(axis=1).mean(),
            "calibration error": _mean_calibration_error(has_label, probability),
        }
        rows.append(row)
    by_seed = pd.DataFrame(rows)
    pairs_of_seeds = itertools.combinations(predictions, 2)
    agreements = [np.mean(first == second) for first, second in pairs_of_seeds]
    agreement = pd.Series(agreements, dtype=np.float64).mean()  # NaN for a single seed
    spread = {"sd of accuracy": by_seed["accuracy"].std(), "agreement": agreement}
    return by_seed.mean().to_dict() | spread


def _mean_calibration_error(has_label: np.ndarray, probability: np.ndarray) -> float:
    """Average the expected calibration error over the labels; both are (n, n_labels)."""
    errors = []
    for observed, predicted in zip(has_label.T, probability.T, strict=True):
        errors.append(calibration_error(observed, predicted))
    return float(np.mean(errors))


def _per_class(
    y_true: np.ndarray, labels: np.ndarray, probabilities: dict[str, list[np.ndarray]]
) -> pd.DataFrame:
    """Return each model's precision, recall and F1 by label, from the first seed."""
    frames = []
    for name, by_seed in probabilities.items():
        predicted = labels[by_seed[0].argmax(axis=1)]
        precision, recall, f1, n = precision_recall_fscore_support(
            y_true, predicted, labels=labels, zero_division=0
        )
        frame = pd.DataFrame({"precision": precision, "recall": recall, "f1": f1, "n": n})
        frames.append(frame.assign(model=name, label=labels))
    return pd.concat(frames)[["model", "label", "precision", "recall", "f1", "n"]]


def _impurity_importances(pipeline: Pipeline, columns: list[str]) -> np.ndarray:
    """Return the forest's importance of each column, its one-hot levels summed: float (n,)."""
    encoded_names = pipeline[0].get_feature_names_out()
    encoded_importances = pipeline[-1].feature_importances_
    total = dict.fromkeys(columns, 0.0)
    for encoded_name, importance in zip(encoded_names, encoded_importances, strict=True):
        total[_source_column(encoded_name, columns)] += float(importance)
    return np.array([total[name] for name in columns])


def _source_column(encoded_name: str, columns: list[str]) -> str:
    """Return the column from which the encoder made a column: ``gender`` for ``gender_f``."""
    if encoded_name in columns:
        return encoded_name
    prefixes = [name for name in columns if encoded_name.startswith(name)]
    return max(prefixes, key=len)
