"""The public data sets as they lie beside the project, against their own documentation."""

import pandas as pd
import pytest

from kpay_lab.data.tables import SCHEMAS
from kpay_lab.workbench import open_log


def loaded(real_data, dataset, folder, **options):
    found = open_log(real_data(folder), dataset=dataset, **options)
    for name, frame in found.tables.present().items():
        SCHEMAS[name].validate(frame)
    assert found.rejected.rows.empty
    assert all(path.is_file() for path in found.files)
    return found


def test_movielens(real_data):
    tables = loaded(real_data, "movielens", "ml-100k").tables
    assert (len(tables.events), len(tables.users), len(tables.items)) == (100_000, 943, 1_682)
    first = tables.events.iloc[0]  # the file's first line: 196 242 3 881250949
    assert first[["user_id", "item_id", "rating"]].tolist() == ["196", "242", 3.0]
    assert first["timestamp"] == pd.Timestamp(881250949, unit="s", tz="UTC")
    assert tables.users.iloc[0].tolist() == ["1", 24.0, "M", "technician", "85711"]
    toy_story = tables.items.iloc[0]
    assert toy_story["category"] == "Animation|Children's|Comedy"
    assert toy_story["published_at"] == pd.Timestamp("1995-01-01", tz="UTC")
    assert tables.items["title"].str.contains("é").any()  # latin-1


def test_mooccubex(real_data):
    found = loaded(real_data, "mooccubex", "mooccubex-gear")
    events, items = found.tables.events, found.tables.items
    # stats.json of the data set: interactions, train and test parts, users, items
    assert len(events) == 867_796
    assert events["part"].value_counts().to_dict() == {"train": 698_260, "test": 169_536}
    assert (events["user_id"].nunique(), events["item_id"].nunique()) == (11_943, 2_297)
    assert set(events["item_id"]) == set(items["item_id"])
    # train.txt starts "0 36 15": user U_3112
    names = (real_data("mooccubex-gear") / "item_map.txt").read_text().split()
    item_36 = names[names.index("36") - 1]
    assert events.iloc[0].tolist() == ["U_3112", item_36, "train"]
    english = items.set_index("item_id").loc["C_1756063"]
    assert english["title"] == "Conversational English Skills"
    assert english[["brand", "host"]].tolist() == ["清华大学", "张文霞|杨芳"]
    assert english["category"] == "外国语言文学"  # from its concepts; its fields are empty


def test_kuairand(real_data):
    found = loaded(real_data, "kuairand", "kuairand27k-feedback")
    events = found.tables.events
    assert (len(events), events["user_id"].nunique(), events["item_id"].nunique()) == (
        41_828,
        664,
        9_359,
    )
    first = events.iloc[0]
    assert first[["watch_time", "duration", "like_count"]].tolist() == [46.186, 45.916, 1]
    assert first["timestamp"] == pd.Timestamp(1649581149287, unit="ms", tz="UTC")
    assert events["duration"].isna().mean() == pytest.approx(0.18, abs=0.01)
    assert not (events["duration"] == 0).any()
    # 116 in the file; 8 more differ only in its date columns, which repeat the time
    assert "116 rows of the file repeat an earlier one in every column" in found.notes
    assert "124 exact duplicate events (equal in every column used) were kept" in found.notes
    dropped = loaded(real_data, "kuairand", "kuairand27k-feedback", duplicates="drop")
    assert len(dropped.tables.events) == 41_828 - 124
    assert "124 exact duplicate events (equal in every column used) were dropped" in dropped.notes


def test_oulad(real_data):
    tables = loaded(real_data, "oulad", "oulad").tables
    assert (len(tables.events), len(tables.users), len(tables.items)) == (32_593, 28_785, 22)
    assert tables.events.iloc[0].tolist() == ["11391", "AAA-2013J"]
    assert set(tables.users["final_result"]) == {"Pass", "Fail", "Withdrawn", "Distinction"}
    assert tables.users["n_enrolments"].sum() == 32_593
    info = pd.read_csv(real_data("oulad") / "studentInfo.csv", dtype=str)
    assert info["imd_band"].isna().sum() == 1_111
    one = info[info["id_student"] == "584077"].sort_values("code_presentation", kind="stable")
    if len(one):
        row = tables.users.set_index("user_id").loc["584077"]
        assert row["final_result"] == one["final_result"].iloc[-1]
