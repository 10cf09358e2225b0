"""Public data sets as tables: MovieLens, MOOCCubeX, KuaiRand, OULAD, and a catalogue of Udemy.

Each reader keeps the order of the rows, gives times in UTC and durations in seconds, and
states in its notes where the files left it a choice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kpay_lab.data.tables import SCHEMAS, Tables

FILES = {
    "movielens": ("u.data", "u.user", "u.item", "u.genre"),
    "mooccubex": (
        "train.txt",
        "test.txt",
        "user_map.txt",
        "item_map.txt",
        "course_profiles.jsonl",
    ),
    "kuairand": ("processed_standard_kcore_15.tsv",),
    "oulad": ("studentInfo.csv",),
    "udemy": ("udemy_courses.csv",),
}
TABLES = {
    "movielens": {"events", "items", "users"},
    "mooccubex": {"events", "items"},
    "kuairand": {"events"},
    "oulad": {"events", "items", "users"},
}


@dataclass(frozen=True)
class PublicData:
    """The tables of a public data set, notes on how it was read, and the files that were read.

    ``zero_durations`` counts the durations of 0 that were read as missing.
    """

    tables: Tables
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    zero_durations: int = 0


def movielens(folder: Path) -> PublicData:
    """Read MovieLens 100K: ratings with their time, people, and films with their genres.

    Source: F. M. Harper and J. A. Konstan, *The MovieLens Datasets*, ACM TiiS 5(4), 2015.
    """
    files = required_files("movielens", folder)
    ratings_file, users_file, films_file, genres_file = files
    names = ["user_id", "item_id", "rating", "timestamp"]
    types = {"user_id": str, "item_id": str, "rating": float}
    events = pd.read_csv(ratings_file, sep="\t", names=names, dtype=types)
    events["timestamp"] = _utc(events["timestamp"], "s")
    user_types = {"user_id": str, "age": float, "gender": str, "occupation": str, "zip_code": str}
    users = pd.read_csv(users_file, sep="|", names=[*user_types], dtype=user_types)
    items = _movielens_films(films_file, genres_file)
    tables = Tables.validated(events=events, items=items, users=users)
    note = f"films without a date: {items['published_at'].isna().sum()}"
    return PublicData(tables, (note,), files)


def _movielens_films(films_file: Path, genres_file: Path) -> pd.DataFrame:
    """Read the films; from the sixth column on, each column marks one genre with 0 or 1."""
    genres = pd.read_csv(genres_file, sep="|", names=["genre", "number"])["genre"].to_numpy()
    text_columns = dict.fromkeys((0, 1, 2), str)
    films = pd.read_csv(films_file, sep="|", encoding="latin-1", header=None, dtype=text_columns)
    has_genre = films.iloc[:, 5:].to_numpy() == 1
    columns = {
        "item_id": films[0],
        "title": films[1],
        "category": ["|".join(genres[marked]) for marked in has_genre],
        "published_at": _utc(films[2], format="%d-%b-%Y"),
    }
    return pd.DataFrame(columns)


def mooccubex(folder: Path) -> PublicData:
    """Read course enrolments of MOOCCubeX and the course profiles.

    The column ``part`` of the events says whether an enrolment is of the published training or
    test set. There are no times, and only users with 60 to 300 courses are in the sample.

    Source: J. Yu et al., *MOOCCubeX*, CIKM 2021; training and test set by the GEAR-Rec repository.
    """
    files = required_files("mooccubex", folder)
    train_file, test_file, user_map_file, item_map_file, courses_file = files
    train = _enrolments(train_file)
    test = _enrolments(test_file)
    enrolments = pd.concat([train, test], ignore_index=True)
    user_ids = _original_ids(user_map_file)
    item_ids = _original_ids(item_map_file)
    columns = {
        "user_id": user_ids[enrolments["user"]],
        "item_id": item_ids[enrolments["item"]],
        "part": np.repeat(["train", "test"], [len(train), len(test)]),
    }
    events = pd.DataFrame(columns)
    items = _mooccubex_courses(courses_file)
    tables = Tables.validated(events=events, items=items)
    n_without_field = items["category"].isna().sum()
    note = (
        "the log has no time stamps; the given train and test parts are in events.part; "
        f"{n_without_field:,} of {len(items):,} courses name no field of study"
    )
    return PublicData(tables, (note,), files)


def _mooccubex_courses(path: Path) -> pd.DataFrame:
    """Read the courses; one without fields of study takes those of its concepts."""
    courses = pd.read_json(path, lines=True, dtype=False)
    items = {"item_id": courses["original_id"].astype("str"), "kind": "course"}
    texts = {"title": courses["name"], "description": courses["about"]}
    for column, values in texts.items():
        items[column] = values.replace("", None).astype("str")
    has_fields = courses["fields"].str.len() > 0
    fields_of_concepts = courses["key_concept_ids"].map(_fields_of_study)
    fields = courses["fields"].where(has_fields, fields_of_concepts)
    lists = {"category": fields, "brand": courses["schools"], "host": courses["teachers"]}
    for column, values in lists.items():
        items[column] = values.str.join("|").replace("", None).astype("str")
    return pd.DataFrame(items)


def kuairand(folder: Path) -> PublicData:
    """Read explicit short-video feedback of KuaiRand-27K; a duration of 0 is read as missing.

    Source: C. Gao et al., *KuaiRand*, CIKM 2022.
    """
    files = required_files("kuairand", folder)
    log = pd.read_csv(files[0], sep="\t", dtype={"user_id": str, "video_id": str})
    has_duration = log["duration_ms"] > 0
    columns = {
        "user_id": log["user_id"],
        "item_id": log["video_id"],
        "timestamp": _utc(log["time_ms"], "ms"),
        "watch_time": log["play_time_ms"] / 1000,
        "duration": log["duration_ms"].where(has_duration) / 1000,
        "like_count": log["label"].astype("Int64"),
        "comment_count": log["is_comment"].astype("Int64"),
        "share_count": log["is_forward"].astype("Int64"),
    }
    events = pd.DataFrame(columns)
    n_repeated = log.duplicated().sum()
    n_zero = int((log["duration_ms"] == 0).sum())
    notes = (
        f"{n_repeated:,} rows of the file repeat an earlier one in every column",
        f"{n_zero:,} of {len(log):,} durations are 0 and were read as missing",
        "every row carries an explicit like or dislike, so a like is no rare event here",
    )
    return PublicData(Tables.validated(events=events), notes, files, n_zero)


def oulad(folder: Path) -> PublicData:
    """Read Open University learners: one event for each enrolment, one user for each student.

    An item is a module's presentation such as ``AAA-2013J``. What is said of a student comes from
    the latest presentation.

    Source: J. Kuzilek et al., *Open University Learning Analytics dataset*, 2017.
    """
    files = required_files("oulad", folder)
    enrolments = pd.read_csv(files[0], dtype={"id_student": str})
    new_names = {"id_student": "user_id", "highest_education": "education"}
    enrolments = enrolments.rename(columns=new_names)
    enrolments["item_id"] = enrolments["code_module"] + "-" + enrolments["code_presentation"]
    users = _oulad_students(enrolments)
    items = enrolments[["item_id", "code_module"]].drop_duplicates("item_id", ignore_index=True)
    items = items.rename(columns={"code_module": "category"}).assign(kind="course")
    events = enrolments[["user_id", "item_id"]]
    tables = Tables.validated(events=events, items=items, users=users)
    n_repeating = int((users["n_enrolments"] > 1).sum())
    n_without_band = users["imd_band"].isna().sum()
    notes = (
        f"{n_repeating:,} of {len(users):,} students enrolled more than once; their columns are "
        "those of the latest presentation",
        f"imd_band is missing for {n_without_band:,} students",
    )
    return PublicData(tables, notes, files)


def _oulad_students(enrolments: pd.DataFrame) -> pd.DataFrame:
    """Return the latest enrolment of each student, and how many the student has."""
    chronological = enrolments.sort_values("code_presentation", kind="stable")  # 2013B, 2013J, …
    latest = chronological.drop_duplicates("user_id", keep="last")
    students = latest.sort_index().reset_index(drop=True)
    students = students.drop(columns=["item_id", "code_module", "code_presentation"])
    n_enrolments = enrolments["user_id"].value_counts()
    students["n_enrolments"] = students["user_id"].map(n_enrolments)
    return students


def udemy(folder: str | Path) -> pd.DataFrame:
    """Read a catalogue of paid courses of Udemy as an items table; there is no log of events.

    A course that the file lists twice is kept once.
    """
    (path,) = required_files("udemy", Path(folder))
    courses = pd.read_csv(path, dtype={"course_id": "str"})
    courses = courses.drop_duplicates("course_id").reset_index(drop=True)
    columns = {
        "item_id": courses["course_id"],
        "kind": "course",
        "title": courses["course_title"].str.strip(),
        "category": courses["subject"],
        "price": courses["price"].astype("float64"),
        "duration": courses["content_duration"] * 3600,
        "published_at": _utc(courses["published_timestamp"]),
    }
    return SCHEMAS["items"].validate(pd.DataFrame(columns))


def required_files(dataset: str, folder: Path) -> tuple[Path, ...]:
    """Return the files of a data set, or refuse a folder that lacks some."""
    names = FILES[dataset]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}; give the data set's own folder")
    return tuple(folder / name for name in names)


def _utc(times: pd.Series, unit: Any = None, format: str | None = None) -> pd.Series:
    return pd.to_datetime(times, unit=unit, format=format, utc=True).dt.as_unit("us")


def _original_ids(path: Path) -> np.ndarray:
    """Read the original id of each number; the numbers count from 0."""
    id_map = pd.read_csv(path, sep=" ", names=["id", "number"], dtype={"id": str})
    return id_map.sort_values("number")["id"].to_numpy(dtype=object)


def _fields_of_study(concept_ids: list[str]) -> list[str]:
    """Return the distinct fields of study with which ids such as ``K_chair_外国语言文学`` end."""
    fields = [concept_id.rpartition("_")[2] for concept_id in concept_ids]
    return list(dict.fromkeys(fields))


def _enrolments(path: Path) -> pd.DataFrame:
    """Read lines of ``user item item ...`` as one row of numbers ``user, item`` an enrolment."""
    users = []
    items = []
    for line in path.read_text().splitlines():
        user, *items_of_user = line.split()
        users += [int(user)] * len(items_of_user)
        items += [int(item) for item in items_of_user]
    return pd.DataFrame({"user": users, "item": items})
