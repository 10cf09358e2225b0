"""Public data sets as tables: MovieLens, MOOCCubeX, KuaiRand, OULAD, and a catalogue of Udemy.

A reader keeps the original row order, gives times in UTC and lengths in seconds, and
states in a note what it decided.
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
    """The tables of a public data set, what was decided, and the files read."""

    tables: Tables
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def movielens(folder: Path) -> PublicData:
    """Read MovieLens 100K: ratings with their time, people, and films with their genres.

    Source: F. M. Harper and J. A. Konstan, *The MovieLens Datasets*, ACM TiiS 5(4), 2015.
    """
    files = files_of("movielens", folder)
    names = ["user_id", "item_id", "rating", "timestamp"]
    types = {"user_id": str, "item_id": str, "rating": float}
    events = pd.read_csv(files[0], sep="\t", names=names, dtype=types)
    events["timestamp"] = _utc(events["timestamp"], "s")
    people = {"user_id": str, "age": float, "gender": str, "occupation": str, "zip_code": str}
    users = pd.read_csv(files[1], sep="|", names=[*people], dtype=people)
    genres = pd.read_csv(files[3], sep="|", names=["genre", "number"])["genre"].to_numpy()
    texts = dict.fromkeys((0, 1, 2), str)
    films = pd.read_csv(files[2], sep="|", encoding="latin-1", header=None, dtype=texts)
    columns = {
        "item_id": films[0],
        "title": films[1],
        "category": ["|".join(genres[row]) for row in films.iloc[:, 5:].to_numpy() == 1],
        "published_at": _utc(films[2], format="%d-%b-%Y"),
    }
    items = pd.DataFrame(columns)
    note = f"films without a date: {items['published_at'].isna().sum()}"
    return PublicData(Tables.validated(events=events, items=items, users=users), (note,), files)


def mooccubex(folder: Path) -> PublicData:
    """Read course enrolments of MOOCCubeX, train and test ``part``, and the course profiles.

    There are no time stamps, and only users with 60 to 300 courses are in the sample.

    Source: J. Yu et al., *MOOCCubeX*, CIKM 2021; parts by the GEAR-Rec repository.
    """
    files = files_of("mooccubex", folder)
    user_names, item_names = (_id_map(path) for path in files[2:4])
    parts = [_enrolments(path) for path in files[:2]]
    users, items = (np.concatenate(ids) for ids in zip(*parts, strict=True))
    part = np.repeat(["train", "test"], [len(ids) for ids, _ in parts])
    log = {"user_id": user_names[users], "item_id": item_names[items], "part": part}
    courses = pd.read_json(files[4], lines=True, dtype=False)
    catalogue = {"item_id": courses["original_id"].astype("str"), "kind": "course"}
    for column, source in (("title", "name"), ("description", "about")):
        catalogue[column] = courses[source].replace("", None).astype("str")
    of_concepts = courses["key_concept_ids"].map(_disciplines)
    fields = courses["fields"].where(courses["fields"].str.len() > 0, of_concepts)
    lists = {"category": fields, "brand": courses["schools"], "host": courses["teachers"]}
    for column, names in lists.items():
        catalogue[column] = names.str.join("|").replace("", None).astype("str")
    table = pd.DataFrame(catalogue)
    note = (
        "the log has no time stamps; the given train and test parts are in events.part; "
        f"{table['category'].isna().sum():,} of {len(table):,} courses name no field of study"
    )
    return PublicData(Tables.validated(events=pd.DataFrame(log), items=table), (note,), files)


def kuairand(folder: Path) -> PublicData:
    """Read explicit short-video feedback of KuaiRand-27K; a duration of 0 means *unknown*.

    Source: C. Gao et al., *KuaiRand*, CIKM 2022.
    """
    files = files_of("kuairand", folder)
    log = pd.read_csv(files[0], sep="\t", dtype={"user_id": str, "video_id": str})
    events = {
        "user_id": log["user_id"],
        "item_id": log["video_id"],
        "timestamp": _utc(log["time_ms"], "ms"),
        "watch_time": log["play_time_ms"] / 1000,
        "duration": log["duration_ms"].where(log["duration_ms"] > 0) / 1000,
        "like_count": log["label"].astype("Int64"),
        "comment_count": log["is_comment"].astype("Int64"),
        "share_count": log["is_forward"].astype("Int64"),
    }
    zero = (log["duration_ms"] == 0).sum()
    notes = (
        f"{log.duplicated().sum():,} rows of the file repeat an earlier one in every column",
        f"{zero:,} of {len(log):,} durations are 0 and were read as missing",
        "every row carries an explicit like or dislike, so a like is no rare event here",
    )
    return PublicData(Tables.validated(events=pd.DataFrame(events)), notes, files)


def oulad(folder: Path) -> PublicData:
    """Read Open University learners: one event an enrolment, one row a student.

    An item is a module's presentation such as ``AAA-2013J``; a student's columns are those of
    the latest one. Source: J. Kuzilek et al., *Open University Learning Analytics dataset*, 2017.
    """
    files = files_of("oulad", folder)
    info = pd.read_csv(files[0], dtype={"id_student": str})
    info = info.rename(columns={"id_student": "user_id", "highest_education": "education"})
    info["item_id"] = info["code_module"] + "-" + info["code_presentation"]
    in_time = info.sort_values("code_presentation", kind="stable")  # 2013B, 2013J, 2014B …
    users = in_time.drop_duplicates("user_id", keep="last").sort_index().reset_index(drop=True)
    users = users.drop(columns=["item_id", "code_module", "code_presentation"])
    users["n_enrolments"] = users["user_id"].map(info["user_id"].value_counts())
    items = info[["item_id", "code_module"]].drop_duplicates("item_id", ignore_index=True)
    items = items.rename(columns={"code_module": "category"}).assign(kind="course")
    tables = Tables.validated(events=info[["user_id", "item_id"]], items=items, users=users)
    several = int((users["n_enrolments"] > 1).sum())
    notes = (
        f"{several:,} of {len(users):,} students enrolled more than once; their columns are "
        "those of the latest presentation",
        f"imd_band is missing for {users['imd_band'].isna().sum():,} students",
    )
    return PublicData(tables, notes, files)


def udemy(folder: str | Path) -> pd.DataFrame:
    """Read a catalogue of paid courses of Udemy, each once, as an items table without a log."""
    (path,) = files_of("udemy", Path(folder))
    courses = pd.read_csv(path, dtype={"course_id": "str"}).drop_duplicates("course_id")
    table = {
        "item_id": courses["course_id"],
        "kind": "course",
        "title": courses["course_title"].str.strip(),
        "category": courses["subject"],
        "price": courses["price"].astype("float64"),
        "duration": courses["content_duration"] * 3600,
        "published_at": _utc(courses["published_timestamp"]),
    }
    return SCHEMAS["items"].validate(pd.DataFrame(table).reset_index(drop=True))


def files_of(dataset: str, folder: Path) -> tuple[Path, ...]:
    """Return the files of a data set, or refuse a folder that lacks some."""
    names = FILES[dataset]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}; give the data set's own folder")
    return tuple(folder / name for name in names)


def _utc(times: pd.Series, unit: Any = None, format: str | None = None) -> pd.Series:
    return pd.to_datetime(times, unit=unit, format=format, utc=True).dt.as_unit("us")


def _id_map(path: Path) -> np.ndarray:
    """Return the original id at each mapped number."""
    names = pd.read_csv(path, sep=" ", names=["name", "number"], dtype={"name": str})
    return names.sort_values("number")["name"].to_numpy(dtype=object)


def _disciplines(concept_ids: list[str]) -> list[str]:
    """Return the fields of study that concept ids such as ``K_chair_外国语言文学`` end in."""
    return list(dict.fromkeys(name.rpartition("_")[2] for name in concept_ids))


def _enrolments(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read lines of ``user item item ...`` as two equally long arrays of numbers."""
    rows = [np.array(line.split(), dtype=np.int64) for line in path.read_text().splitlines()]
    users = np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows])
    return users, np.concatenate([row[1:] for row in rows])
