"""What people say of themselves (gender, age, ...), and whether what they do tells it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpay_lab.customers.classify import FOREST, judge_classifiers
from kpay_lab.customers.features import user_features
from kpay_lab.customers.outcomes import LEAST_USERS
from kpay_lab.data.tables import Tables
from kpay_lab.findings import Finding, lacking

NOT_SAID = ("user_id", "consent")  # columns of users that are no field of a portrait
MOST_LABELS = 30  # a field with more answers is a name or an address
N_GROUPS = 3  # groups of as many people that a number, such as the age, is cut into


@dataclass(frozen=True)
class FieldsRead:
    """Whether a random forest on habits and amounts knows each field better than a guess.

    Parameters
    ----------
    table : DataFrame, index field
        ``n`` people judged, number of ``answers``, accuracy of the ``guess`` (the most frequent
        answer) and of the ``forest``, their ``difference`` with ``low`` and ``high`` (95 % for
        all fields together), and whether it is ``shown`` that the forest is right more often.
    """

    table: pd.DataFrame

    def findings(self) -> list[Finding]:
        """Return which fields can be read from the log; nothing where no field was judged."""
        if self.table.empty:
            return []
        is_read = self.table["shown"]
        read = tuple(self.table.index[is_read])
        unread = tuple(self.table.index[~is_read])
        leader = self.table["difference"].idxmax()
        measured = self.table.loc[leader, ["forest", "guess", "difference", "low", "high"]]
        values = {"read": read, "unread": unread, "field": leader, **measured}
        values["n_read"] = len(read)
        values["n_unread"] = len(unread)
        values["n_users"] = int(self.table.loc[leader, "n"])
        return [Finding("portraits/fields", "plain", values, place="fields_read")]


def about_people(tables: Tables) -> list[Finding]:
    """Return how many people there are and how much they do, and what it takes to know more."""
    n_events = tables.events["user_id"].value_counts()
    values = {"n_users": len(n_events), "events": n_events.median()}
    found = [Finding("portraits/who", "plain", values)]
    return found if tables.users is not None else [*found, lacking("fields", "users")]


def describe_fields(users: pd.DataFrame, *, min_group: int = 10) -> pd.DataFrame:
    """Describe each field of a portrait: the share that answered, and the most frequent answer.

    Numbers are cut into groups as in `answers`. An answer that fewer than ``min_group`` people
    gave is not named, for it could name a person.

    Returns
    -------
    DataFrame, index field
        ``answered``, ``most frequent`` and its ``share`` of those who answered.

    Examples
    --------
    >>> users = pd.DataFrame({"user_id": [*"uvwx"], "gender": ["f", "f", "m", None]})
    >>> describe_fields(users, min_group=2)["most frequent"].to_dict()
    {'gender': 'f'}
    """
    rows = {}
    for name in users.columns.drop(list(NOT_SAID), errors="ignore"):
        given = answers(users[name])
        counts = given.value_counts()
        is_group = len(counts) > 0 and counts.iloc[0] >= min_group
        most_frequent = counts.index[0] if is_group else None
        share = counts.iloc[0] / counts.sum() if is_group else np.nan
        rows[name] = (len(given) / len(users), most_frequent, share)
    columns = ["answered", "most frequent", "share"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("field")


def answers(field: pd.Series) -> pd.Series:
    """Return the answers as text without gaps; many numbers become three groups of as many people.

    >>> answers(pd.Series([1, 2, 2, None])).tolist()
    ['1', '2', '2']
    >>> answers(pd.Series(range(31))).value_counts(sort=False).to_dict()
    {'up to 10': 11, 'over 10 to 20': 10, 'over 20': 10}
    """
    given = field.dropna()
    is_number = pd.api.types.is_numeric_dtype(given) and not pd.api.types.is_bool_dtype(given)
    if not is_number:
        return given.astype("str")
    if given.nunique() <= N_GROUPS:
        return given.map("{:g}".format)
    quantiles = np.arange(1, N_GROUPS) / N_GROUPS
    bounds = given.quantile(quantiles, interpolation="lower").to_numpy(dtype=np.float64)
    low = bounds[0]
    high = bounds[1]
    names = np.array([f"up to {low:.4g}", f"over {low:.4g} to {high:.4g}", f"over {high:.4g}"])
    group = np.searchsorted(bounds, given, side="left")
    return pd.Series(names[group], given.index, dtype="str")


def read_fields(tables: Tables, *, seeds: Sequence[int] = (0,)) -> FieldsRead:
    """Judge whether each field of the users can be read from what they do.

    The forest sees habits and amounts, and no other field. Answers of fewer than ten people are
    left out. A field is judged if it has 2 to 30 answers left, which hold half of the people who
    answered; names and addresses do not.

    Returns
    -------
    FieldsRead
        Without a row where the log has no users table or no field that can be judged.
    """
    columns = ["n", "answers", "guess", "forest", "difference", "low", "high"]
    empty = pd.DataFrame(columns=columns, index=pd.Index([], name="field"))
    if tables.users is None:
        return FieldsRead(empty.assign(shown=False))
    users = tables.users.set_index("user_id")
    behaviour = user_features(tables, leave_out=tuple(users.columns))
    labels = {}
    for name in users.columns.drop("consent", errors="ignore"):
        learnable = _learnable(answers(users[name]), behaviour.index)
        if learnable is not None:
            labels[name] = learnable
    rows = {}
    for name, label in labels.items():
        level = 1 - 0.05 / len(labels)  # Bonferroni: all intervals hold together in 95 %
        judged = judge_classifiers(behaviour, label, seeds=seeds, names=(FOREST,))
        lead = judged.leads(level=level).loc[FOREST]
        guess = judged.scores["accuracy"].iloc[0]
        forest = judged.scores.loc[FOREST, "accuracy"]
        interval = (lead["difference"], lead["low"], lead["high"])
        rows[name] = (judged.n_judged, label.nunique(), guess, forest, *interval)
    if not rows:
        return FieldsRead(empty.assign(shown=False))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("field")
    return FieldsRead(table.assign(shown=table["low"] > 0))


def _learnable(given: pd.Series, users: pd.Index) -> pd.Series | None:
    """Return the answers that enough people gave, or None where they are too few or too many."""
    with_events = given[given.index.isin(users)]
    n_alike = with_events.map(with_events.value_counts())
    frequent = with_events[n_alike >= LEAST_USERS]
    holds_half = 2 * len(frequent) >= len(with_events)
    is_field = 2 <= frequent.nunique() <= MOST_LABELS
    return frequent if is_field and holds_half else None
