"""Findings and their words: each sentence says what its values say, and nothing more."""

import ast
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay_lab.findings import (
    ALWAYS,
    SPOKEN,
    Finding,
    catalogue,
    formatted,
    lacking,
    languages,
    sentence,
)

PACKAGE = Path(__file__).parents[1] / "kpay_lab"
NUMBER = re.compile(r"[+−]?\d+(?:,\d{3})*(?:\.\d+)?")
NAMES_WITH_NUMBERS = re.compile(r"@\{k\}")
CLAIMS = re.compile(
    r"\b(beats?|raises?|lowers?|most|none|nobody|only|alone|best|every|everybody|all|never|always)\b",
    re.IGNORECASE,
)
WORDS = st.sampled_from(["als", "ease", "user_neighbours", "Python 入门", "{low}", "<b>"])
AMOUNT = st.floats(-1e7, 1e7) | st.sampled_from([0.0, 1.0, -1.0])
KINDS = {
    "money": AMOUNT,
    "amount": AMOUNT,
    "score": st.floats(-10, 10) | st.sampled_from([0.0, 1.0]),
    "difference": st.floats(-10, 10) | st.sampled_from([0.0]),
    "share": st.floats(0, 1) | st.sampled_from([0.0, 1.0]),
    "change": st.floats(-1, 10) | st.sampled_from([0.0]),
    "points": st.floats(-1, 1) | st.sampled_from([0.0]),
    "p": st.floats(1e-6, 1),
    "count": st.integers(0, 10**7) | st.integers(0, 3),
    "days": st.floats(0, 4000),
    "hours": st.floats(0, 1e5),
    "duration": st.floats(0, 1e5),
    "text": WORDS,
    "names": st.lists(WORDS, max_size=4),
    "flag": st.booleans(),
    "time": st.sampled_from(["2023-01-05T14:03:09+00:00", "2023-01-05"]),
}
ENTRIES = [
    (language, key) for language in languages() for key in sorted(catalogue(language).entries)
]


@st.composite
def values_of(draw, key):
    """Values of a key's kinds; those of an interval are drawn in order."""
    entry = catalogue().entries[key]
    values = {}
    for name, kind in entry.values.items():
        is_choice = isinstance(kind, list)
        values[name] = draw(st.sampled_from(kind) if is_choice else KINDS[kind])
    for names in entry.intervals:
        ordered = sorted(values[name] for name in names)
        values |= dict(zip(names, ordered, strict=True))
    return values


@pytest.mark.parametrize(("language", "key"), ENTRIES)
def test_any_values_meet_exactly_one_wording_whose_numbers_they_are(language, key):
    @given(values_of(key))
    def meets_one(values):
        finding = Finding(key, "plain", values)
        said = sentence(finding, language)
        assert said and "{" not in said.replace("{low}", "")
        written = " ".join(formatted(finding, language).values())
        assert set(NUMBER.findall(said)) <= set(NUMBER.findall(written))

    meets_one()


@pytest.mark.parametrize(("language", "key"), ENTRIES)
def test_no_number_is_typed_into_a_sentence(language, key):
    for wording in catalogue(language).entries[key].wordings:
        typed = re.sub(r"\{\w+\}", "", NAMES_WITH_NUMBERS.sub("", wording.say))
        assert not re.search(r"\d", typed), f"{key}: a number is typed into {wording.say!r}"


@pytest.mark.parametrize(("language", "key"), ENTRIES)
def test_a_claim_stands_under_a_condition(language, key):
    for wording in catalogue(language).entries[key].wordings:
        claims = CLAIMS.findall(re.sub(r"\{\w+\}", "", wording.say))
        is_bound = wording.when != ALWAYS and wording.conditions
        assert not claims or is_bound, f"{key}: {claims} without a condition: {wording.say!r}"


def test_a_claim_is_seen():
    assert CLAIMS.findall("als beats popularity; most leave, none stays") == [
        "beats",
        "most",
        "none",
    ]
    assert not CLAIMS.findall("almost bested alphabetically")


def keys_in_code():
    """Every key that the package makes a finding of; it stands as a text in the call."""
    keys = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                assert isinstance(node.args[0], ast.Constant), (
                    f"{path}:{node.lineno}: write the key"
                )
                keys.add(node.args[0].value)
    return keys


@pytest.mark.parametrize("language", languages())
def test_every_finding_has_words_and_all_words_are_used(language):
    assert keys_in_code() == set(catalogue(language).entries)


@pytest.mark.parametrize("language", languages())
def test_a_language_says_the_same_findings(language):
    spoken = catalogue(SPOKEN)
    other = catalogue(language)
    assert set(other.levels) == set(spoken.levels)
    assert set(other.titles) == set(spoken.titles)
    for key, entry in spoken.entries.items():
        assert other[key].values == entry.values
        assert other[key].order == entry.order


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_finding(value):
    with pytest.raises(ValueError, match="its value low is"):
        Finding("lacking/table", "plain", {"low": value})


def test_a_level_is_one_of_four():
    with pytest.raises(ValueError, match="its level is 'great'"):
        Finding("lacking/table", "great", {})


def test_a_finding_without_words_or_with_other_values_is_refused():
    with pytest.raises(ValueError, match="'no/words' has no words"):
        sentence(Finding("no/words", "plain", {}))
    with pytest.raises(ValueError, match="question stand"):
        sentence(Finding("lacking/table", "plain", {"table": "orders"}))


@pytest.mark.parametrize("hostile", ["{question.__class__}", "{{ 1 + 1 }}"])
def test_text_of_the_data_is_never_a_template(hostile):
    assert hostile in sentence(lacking("earnings", hostile))
