from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from kpay_lab.data.tables import Tables, TooLittleError
from kpay_lab.evaluate import parts
from kpay_lab.evaluate.parts import (
    SPLITS,
    default_split,
    global_leakage,
    leakage_gate,
    rows_to_train,
    split_tables,
)
from kpay_lab.evaluate.split import make_split, part_log
from kpay_lab.interest.weighting import interest_matrix

binary = partial(interest_matrix, weighting="binary")


def utc(days):
    start = pd.Timestamp("2026-01-01", tz="UTC")
    return pd.Series([start + pd.Timedelta(days=d) for d in days]).astype("datetime64[us, UTC]")


def log(pairs, days=None):
    users, items = zip(*pairs, strict=True)
    events = pd.DataFrame({"user_id": users, "item_id": items})
    return events if days is None else events.assign(timestamp=utc(days))


@pytest.fixture
def timed():
    """Ten events of two users on ten days; the last two lie in the test part of ``time``."""
    pairs = [("u", "a"), ("w", "a"), ("u", "b"), ("w", "c"), ("u", "c"), ("w", "d")]
    pairs += [("u", "d"), ("w", "e"), ("u", "e"), ("w", "b")]
    return Tables.validated(events=log(pairs, range(10)))


def labels(split):
    users, items = split.train.interest.users, split.train.interest.items
    return {(users[u], items[i]) for u, i in zip(*split.test.nonzero(), strict=True)}


@pytest.mark.parametrize("how", [how for how in SPLITS if how != "given"])
def test_every_split_parts_the_rows_without_overlap(small_world, how):
    tables, _ = small_world
    split = make_split(tables, binary, how=how)
    train = split.train.tables.events
    counts = split.table()["count"]
    assert counts["train_events"] == len(train)
    assert counts["train_events"] + counts["test_events"] == len(tables.events)
    both = split.test.multiply(split.seen)
    assert both.nnz == 0
    assert split.train.interest.users.equals(tables.ids("user_id"))
    assert split.train.interest.items.equals(tables.ids("item_id"))


@pytest.mark.parametrize("how", ["random_per_user", "random_rows", "stratified_item"])
def test_a_split_repeats_itself_and_its_fingerprint_tells_splits_apart(
    small_world, how, monkeypatch
):
    tables, _ = small_world
    first, again = (make_split(tables, binary, how=how).fingerprint for _ in range(2))
    monkeypatch.setattr(parts, "LEGACY_SEED", 7)
    other = make_split(tables, binary, how=how).fingerprint
    assert first == again != other


def test_time_split_cuts_where_it_says(timed):
    split = make_split(timed, binary)
    assert split.cut == pd.Timestamp("2026-01-09", tz="UTC")  # position int(0.8 * 10)
    assert (split.train.tables.events["timestamp"] < split.cut).all()
    assert split.leakage == 0
    assert labels(split) == {("u", "e"), ("w", "b")}


def test_time_split_keeps_equal_stamps_together():
    events = log([("u", "a"), ("u", "b"), ("u", "c"), ("u", "d"), ("u", "e")], [0, 1, 3, 3, 3])
    in_train, _ = rows_to_train(events, "time", 0.8)
    assert in_train.tolist() == [True, True, False, False, False]


def test_leave_last_out_takes_the_last_row_of_a_tie():
    events = log([("u", "a"), ("w", "b"), ("u", "b"), ("w", "a")], [1, 1, 1, 0])
    in_train, _ = rows_to_train(events, "leave_last_out")
    assert in_train.tolist() == [True, False, False, True]


def test_per_key_splits_follow_the_recipe_literally():
    events = log([("u", "a")] * 5 + [("w", "a")] * 2 + [("u", "b")] * 3)
    in_train, _ = rows_to_train(events, "stratified_user")
    draws = np.random.RandomState(42).rand(10)  # the published splits' generator
    expected = np.zeros(10, dtype=bool)
    for user, size in (("u", round(0.75 * 8)), ("w", round(0.75 * 2))):  # 1.5 rounds to 2
        rows = np.flatnonzero(events["user_id"] == user)
        expected[rows[np.argsort(draws[rows])][:size]] = True
    assert in_train.tolist() == expected.tolist()


def test_given_reads_the_column_part():
    events = log([("u", "a"), ("u", "b")]).assign(part=["train", "test"])
    split = make_split(Tables(events), binary, how="given", cold_items="count")
    assert labels(split) == {("u", "b")}
    with pytest.raises(ValueError, match="'valid'"):
        rows_to_train(events.assign(part=["train", "valid"]), "given")
    with pytest.raises(ValueError, match="no column 'part'"):
        rows_to_train(events.drop(columns="part"), "given")


def test_pairs_seen_in_training_are_dropped_and_counted(timed):
    more = pd.concat([timed.events, log([("u", "a"), ("w", "c")], [10, 11])], ignore_index=True)
    split = make_split(Tables(more), binary)  # cut at position int(0.8 * 12) = 9
    assert labels(split) == {("w", "b")}
    assert split.already_seen == 2


def test_cold_items_are_dropped_counted_or_recommended_as_asked(timed):
    more = pd.concat([timed.events, log([("u", "new")], [9])], ignore_index=True)
    tables, new = Tables(more), Tables(more).ids("item_id").get_loc("new")
    splits = {c: make_split(tables, binary, cold_items=c) for c in ("drop", "count", "recommend")}
    assert ("u", "new") not in labels(splits["drop"])
    assert splits["drop"].unreachable == 1
    for choice in ("count", "recommend"):
        assert ("u", "new") in labels(splits[choice])
    assert [bool(split.candidates[new]) for split in splits.values()] == [False, False, True]
    assert {split.table()["count"]["cold_items"] for split in splits.values()} == {1}


def test_cold_users_are_kept_on_request(timed):
    more = Tables(pd.concat([timed.events, log([("x", "a")], [9])], ignore_index=True))
    assert ("x", "a") not in labels(make_split(more, binary))
    kept = make_split(more, binary, cold_users=True)
    assert ("x", "a") in labels(kept)
    assert kept.table().loc["cold_users", "count"] == 1
    row = kept.train.interest.users.get_loc("x")
    assert kept.train.interest.values[[row]].nnz == 0


def test_candidates_are_the_kinds_with_a_price_unless_named(timed):
    kinds = ["course", "live", "short_video", "course", "course"]
    prices = [9.0, np.nan, np.nan, 9.0, np.nan]
    items = pd.DataFrame({"item_id": list("abcde"), "kind": kinds, "price": prices})
    tables = Tables.validated(events=timed.events, items=items)
    index = tables.ids("item_id")
    by_price = make_split(tables, binary, cold_items="recommend")
    assert set(index[by_price.candidates]) == {"a", "d", "e"}
    named = make_split(tables, binary, candidate_kinds=["live"])
    assert set(index[named.candidates]) == {"b"}
    assert labels(named) == {("w", "b")}
    said = " ".join(by_price.describe())
    assert "Only items of kinds that have a price are recommended: course" in said
    assert "of kinds" not in " ".join(make_split(timed, binary).describe())
    with pytest.raises(ValueError, match="nobody has anything to find: 0 relevant pairs were seen"):
        make_split(tables, binary, candidate_kinds=["book"])


def test_nobody_with_anything_to_find_names_the_rule_on_kinds(timed):
    """Where only a kind that nobody turns to has a price, the remedy is in the message."""
    kinds = ["other", "live", "course", "course", "course"]
    prices = [99.0, np.nan, np.nan, np.nan, np.nan]
    items = pd.DataFrame({"item_id": list("abcde"), "kind": kinds, "price": prices})
    tables = Tables.validated(events=timed.events, items=items)
    rule = "only items of kinds that have a price are recommended: other; set candidate_kinds="
    with pytest.raises(TooLittleError, match=rule + r"\[course, live\]"):
        make_split(tables, binary, cold_items="recommend")
    chosen = "only items of the chosen kinds are recommended: book; set candidate_kinds="
    with pytest.raises(TooLittleError, match=chosen):
        make_split(tables, binary, candidate_kinds=["book"])
    found = make_split(tables, binary, cold_items="recommend", candidate_kinds=["course", "live"])
    assert len(found.users) > 0
    with pytest.raises(TooLittleError, match=r"use a larger log or another split$"):
        make_split(Tables(log([("u", "a"), ("w", "b"), ("u", "a")], range(3))), binary)


def test_relevant_interest_needs_more_than_the_threshold(timed):
    events = timed.events.assign(rating=[5.0] * 8 + [2.0, 4.0])
    rated = partial(interest_matrix, weighting="rating")
    split = make_split(Tables(events), rated, relevant="interest", threshold=3.0)
    assert labels(split) == {("w", "b")}


@pytest.fixture
def sold(timed):
    orders = pd.DataFrame(
        {
            "user_id": ["u", "u", "w"],
            "item_id": ["b", "a", "a"],
            "timestamp": utc([2, 9, 1]),
            "amount": [10.0, 20.0, 30.0],
            "refund_amount": [10.0, 0.0, 30.0],
            "refunded_at": utc([9, 9, 3]).mask([False, True, False]),
        }
    )
    exposures = orders[["user_id", "item_id", "timestamp"]]
    return Tables.validated(events=timed.events, orders=orders, exposures=exposures)


def test_relevant_purchase_is_an_order_after_the_cut_of_a_thing_not_bought_before(sold):
    split = make_split(sold, binary, relevant="purchase")
    assert labels(split) == {("u", "a")}  # watched before, not bought before
    assert split.seen.nnz == 2
    with pytest.raises(ValueError, match="how='time'"):
        make_split(sold, binary, relevant="purchase", how="random_rows")


def test_training_tables_know_no_later_order_exposure_or_refund(sold):
    at_the_cut = sold.orders.iloc[[0]].assign(timestamp=pd.Timestamp("2026-01-09", tz="UTC"))
    orders = pd.concat([sold.orders, at_the_cut], ignore_index=True)
    train = split_tables(replace(sold, orders=orders), "time")[0]
    assert train.orders["item_id"].tolist() == ["b", "a"]
    assert train.orders["refund_amount"].tolist() == [0.0, 30.0]  # the first came back later
    assert train.orders["refunded_at"].isna().tolist() == [True, False]
    assert len(train.exposures) == 2
    assert sold.orders["refund_amount"].tolist() == [10.0, 0.0, 30.0]  # input untouched


def test_without_a_cut_orders_of_held_back_pairs_are_withheld(sold):
    in_train = np.array([(u, i) != ("u", "a") for u, i in sold.events.to_numpy()[:, :2]])
    labelled = sold.events.assign(part=np.where(in_train, "train", "test"))
    train = split_tables(sold.with_events(labelled), "given")[0]
    assert train.orders["amount"].tolist() == [10.0, 30.0]
    assert len(train.exposures) == 2


def test_exposures_are_parted_only_where_they_are_the_candidates(sold):
    for_everything = part_log(sold, binary)
    assert for_everything.train_tables.exposures is None
    assert for_everything.tables.exposures is sold.exposures  # whose ids keep their columns
    for_exposed = part_log(sold, binary, candidates="exposed")
    assert len(for_exposed.train_tables.exposures) == 2


def test_the_gate_finds_an_event_in_both_parts(timed):
    train = timed.with_events(timed.events.iloc[:8])
    leakage_gate(train, timed.events.iloc[8:], None)
    with pytest.raises(ValueError, match="2 events are in both parts, first row 6"):
        leakage_gate(train, timed.events.iloc[6:], None)


@pytest.mark.parametrize("table", ["events", "orders", "exposures"])
def test_the_gate_finds_a_row_after_the_cut(sold, table):
    cut = pd.Timestamp("2026-01-09", tz="UTC")
    held_back = sold.events.iloc[8:]
    clean = split_tables(sold, "time")[0]
    leakage_gate(clean, held_back, cut)
    frames = clean.present()
    planted = frames[table].copy()
    planted.loc[planted.index[0], "timestamp"] = cut
    with pytest.raises(ValueError, match=f"leak: 1 training {table} have timestamp"):
        leakage_gate(Tables(**{**frames, table: planted}), held_back, cut)


def test_the_gate_finds_a_later_refund_and_an_early_test_event(sold):
    cut, train = pd.Timestamp("2026-01-09", tz="UTC"), make_split(sold, binary).train.tables
    late = train.orders.assign(refunded_at=utc([9, 9]).set_axis(train.orders.index))
    with pytest.raises(ValueError, match="refunded_at at or after"):
        leakage_gate(Tables(train.events, orders=late), sold.events.iloc[8:], cut)
    with pytest.raises(ValueError, match="test event lies before"):
        leakage_gate(train.with_events(train.events.iloc[:7]), sold.events.iloc[7:], cut)


def test_an_empty_part_is_an_error():
    events = log([("u", "a"), ("u", "b")], [1, 1])
    with pytest.raises(ValueError, match="0 training and 2 test events"):
        make_split(Tables(events), binary)


def test_times_are_asked_for_where_they_are_needed(timed):
    bare = Tables(timed.events.drop(columns="timestamp"))
    assert (default_split(bare), default_split(timed)) == ("random_per_user", "time")
    with pytest.raises(ValueError, match="no timestamp; choose how='random_per_user'"):
        make_split(bare, binary)
    assert make_split(bare, binary, how="random_per_user").leakage is None


@pytest.mark.parametrize("choice", [{"how": "k_fold"}, {"relevant": "all"}, {"cold_items": "no"}])
def test_an_unknown_choice_names_the_known_ones(timed, choice):
    with pytest.raises(ValueError, match="choose one of"):
        make_split(timed, binary, **choice)


def test_global_leakage_by_hand():
    train = log([("u", "a")] * 4, [0, 2, 4, 6])
    test = log([("u", "b")] * 2, [1, 4])  # three and one of four lie later
    assert global_leakage(train, test) == pytest.approx((3 / 4 + 1 / 4) / 2)


def test_a_split_describes_itself_in_sentences(timed):
    said = " ".join(make_split(timed, binary).describe())
    assert "8 events to learn from, 2 held back" in said
    assert "Nothing at or after 2026-01-09 00:00 UTC" in said
    said = " ".join(make_split(timed, binary, how="random_rows").describe())
    assert "lie in the future" in said


def test_the_table_of_a_split_counts_parts_and_what_was_dropped(timed):
    pairs = [("u", "a"), ("w", "new"), ("x", "a")]
    more = pd.concat([timed.events, log(pairs, [10, 11, 12])], ignore_index=True)
    cut = pd.Timestamp("2026-01-09", tz="UTC")
    table = make_split(Tables(more), binary, cut=cut).table()
    assert table["count"].to_dict() == {
        "train_events": 8,
        "test_events": 5,
        "users": 2,
        "pairs": 2,  # (u, e) and (w, b)
        "already_seen": 1,  # (u, a)
        "unreachable": 2,  # a new item for w, a new user with an old item
        "cold_users": 1,
        "cold_items": 1,
    }


def test_time_split_leaves_something_before_the_cut():
    """Nine in ten events on the first of two days: the cut is the second day."""
    events = log([("u", name) for name in "abcdefghij"], [0] * 9 + [1])
    in_train, cut = rows_to_train(events, "time")
    assert in_train.tolist() == [True] * 9 + [False]
    assert cut == pd.Timestamp("2026-01-02", tz="UTC")


def test_one_moment_is_no_order_in_time():
    events = log([("u", "a"), ("u", "b"), ("w", "a")], [2, 2, 2])
    assert default_split(Tables(events)) == "random_per_user"


def test_a_log_that_cannot_be_parted_says_what_it_lacks(timed):
    one = timed.events.assign(item_id="a")
    with pytest.raises(TooLittleError, match="a single item, so every list would be the same"):
        make_split(Tables(one), binary)
    last = timed.events.drop_duplicates("user_id", keep="last")
    with pytest.raises(TooLittleError, match="0 training and 2 test events"):
        make_split(Tables(last), binary, how="leave_last_out")


def test_an_event_without_a_time_stays_out_of_a_split_in_time(timed):
    """One time that nobody wrote down must not turn the whole split into one by chance."""
    untimed = log([("u", "b")], [0])
    untimed["timestamp"] = pd.Series(pd.NaT, untimed.index, dtype="datetime64[us, UTC]")
    with_one_more = Tables(pd.concat([untimed, timed.events], ignore_index=True))
    assert default_split(with_one_more, most_untimed=0.1) == "time"
    assert default_split(with_one_more, most_untimed=0.05) == "random_per_user"
    for how in ("time", "leave_last_out"):
        train, test_events, _ = split_tables(with_one_more, how)
        without, test_without, _ = split_tables(timed, how)
        assert (train.events.index - 1).equals(without.events.index)
        assert (test_events.index - 1).equals(test_without.index)
    train, test_events, _ = split_tables(with_one_more, "random_per_user")
    assert len(train.events) + len(test_events) == 11
    with pytest.raises(ValueError, match="no event has a time; choose how='random_per_user'"):
        split_tables(Tables(untimed), "time")
