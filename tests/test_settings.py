"""Settings of models and weights have ranges beside their fields, and nothing outside is made."""

import math
from dataclasses import fields
from typing import get_type_hints

import numpy as np
import pytest

from kpay_lab.interest.weighting import InterestWeights
from kpay_lab.recommend import MODELS
from kpay_lab.recommend.choose import build_model
from kpay_lab.recommend.content import ContentBased

KINDS = [*MODELS.values(), InterestWeights]
NUMBERS = (int, float, int | None, float | None, tuple[int, int], tuple[float, float, float])
TWO = {"parts": ["ease", "als"]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_number_has_a_range_that_holds_its_default(kind):
    types = get_type_hints(kind)
    numeric = [field for field in fields(kind) if types[field.name] in NUMBERS]
    assert {field.name for field in numeric} <= kind.ranges.keys()
    for field in numeric:
        low, high = kind.ranges[field.name]
        assert low < high and math.isfinite(low) and math.isfinite(high)
        given = field.default if isinstance(field.default, tuple) else [field.default]
        assert all(one is None or low <= one <= high for one in given)
    assert set(kind.ranges) <= {field.name for field in fields(kind)}


@pytest.mark.parametrize("name", MODELS)
def test_no_number_outside_its_range_makes_a_model(name):
    types = get_type_hints(MODELS[name])
    for setting, allowed in MODELS[name].ranges.items():
        below = allowed[0] - 1 if isinstance(allowed[0], int | float) else "no such text"
        for wrong in (below, math.nan, "much", True, [1], {}):
            n = len(getattr(types[setting], "__args__", ())) if "ngrams" in setting else 3
            value = [wrong] * n if setting in ("ngrams", "weights") else wrong
            with pytest.raises(ValueError, match=f"model {name}: {setting} is"):
                build_model(name, {setting: value})
            with pytest.raises(ValueError, match=f"{MODELS[name].__name__}: {setting} is"):
                MODELS[name](**{setting: value})


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("als", {"n_factors": 0}, "n_factors is 0; it must be a whole number from 1 to 10000"),
        ("popularity", {"half_life": -3}, "half_life is -3; it must be a number from 1e-06 to"),
        ("popularity", {"half_life": 0}, "half_life is 0;"),
        ("item_neighbours", {"n_neighbors": 0}, "n_neighbors is 0; it must be a whole number"),
        ("item_neighbours", {"n_neighbors": 2.5}, "or null"),
        ("user_neighbours", {"similarity": "pearson"}, "it must be one of cosine, jaccard"),
        ("ease", {"reg": -5}, "reg is -5;"),
        ("ease", {"reg": None}, "reg is None; it must be a number from 0 to 1e+09"),
        ("ease", {"dtype": "int8"}, "it must be one of float32, float64"),
        ("markov", {"decay": -1}, "decay is -1; it must be a number from 0 to 1"),
        ("markov", {"within_session": 1}, "within_session is 1; it must be true or false"),
        ("blend", {"weights": [1, 2]}, "weights is [1, 2]; it must be a list of 3, each a number"),
        ("blend", {"weights": [0, 0, 0]}, "weights are all 0"),
        ("blend", {"content": 5}, "model blend has no setting 'content'; it has parts, weights"),
        ("blend", {"parts": ["ease"]}, "name a mix, such as {model: mix, parts: [ease, als]}"),
        ("mix", {}, "model mix: parts are not named; write names of models, such as parts: [e"),
        ("mix", {"parts": ["ease", 3]}, "parts are ['ease', 3]; write names of models"),
        ("mix", {"parts": ["ease"]}, "parts are ['ease']; a mix needs two models or more"),
        ("mix", {"parts": ["ease", "ease"]}, "name each once, and two settings of one model as"),
        ("mix", {"parts": {"ease": 0.3, "als": 0.7}}, "such as parts: [ease, als] and weights:"),
        ("mix", {"parts": ["ease", "asl"]}, "parts: model 'asl' is unknown"),
        ("mix", {"parts": ["ease", "asl"]}, "did you mean 'als'?"),
        ("mix", {"parts": {"ease": {"rg": 3}, "als": {}}}, "has no setting 'rg'; did you mean"),
        ("mix", {**TWO, "weights": [1]}, "weights are [1]; give one to each of ease, als"),
        ("mix", {**TWO, "weights": [1, -1]}, "each a number from 0 to 1e+06"),
        ("mix", {**TWO, "weights": [0, 0]}, "weights are all 0; give at least one part a weight"),
        ("mix", {**TWO, "wieghts": [1, 2]}, "model mix has no setting 'wieghts'; did you mean"),
        ("ease_800", {"reg": 800}, "or say which it is, {model: ease}; did you mean 'ease'?"),
        ("ease_800", {"model": "esae"}, "model ease_800: model is 'esae'; it must be one of"),
        ("ease_800", {"model": "ease", "rg": 1}, "model ease_800 has no setting 'rg'; did you"),
        (
            "ease_800",
            {"model": "ease", "reg": -1},
            "model ease_800: reg is -1; it must be a number",
        ),
        ("ease_800", {"model": ["ease"]}, "model is ['ease']; it must be one of"),
        (
            "ease",
            {"model": "als"},
            "model ease: the name has a meaning of its own and cannot stand",
        ),
        ("best", {"model": "ease"}, "choose another, such as ease_2"),
        ("ease/800", {"model": "ease"}, "model 'ease/800' is no name for a model; use at most 40"),
        ("ease 800", {"model": "ease"}, "'ease 800' is no name for a model"),
        ("ease@800", {"model": "ease"}, "'ease@800' is no name for a model"),
        ("..", {"model": "ease"}, "'..' is no name for a model"),
        ("content", {"ngrams": [3, 2]}, "the shortest must come first"),
        ("ease", 5, "model ease is set to 5; write its settings"),
        ("esae", {}, "model 'esae' is unknown"),
        ("esae", {}, "did you mean 'ease'?"),
        ("ease", {"rg": 3}, "model ease has no setting 'rg'; did you mean 'reg'?"),
    ],
)
def test_one_clear_line(name, settings, message):
    with pytest.raises(ValueError) as raised:
        build_model(name, settings)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_all_faults_of_a_model_at_once():
    with pytest.raises(ValueError) as raised:
        build_model("als", {"n_factors": 0, "reg": -1, "alfa": 2})
    assert len(str(raised.value).splitlines()) == 3


def test_what_libraries_call_numbers_is_a_number():
    assert build_model("als", {"n_factors": np.int64(8), "reg": np.float32(2)}).n_factors == 8
    assert build_model("ease", {"reg": 400}).reg == 400
    assert ContentBased(ngrams=[1, 1]).ngrams == [1, 1]
    assert build_model("item_neighbours", {"n_neighbors": None}).n_neighbors is None


@pytest.mark.parametrize("wrong", [-1.0, math.inf, math.nan, "much", None, True])
def test_weights_of_interest(wrong):
    from_the_log = ("half_watch", "rating_scale") if wrong is None else ()
    for field in fields(InterestWeights):
        if field.name in from_the_log:
            continue
        with pytest.raises(ValueError, match=f"{field.name} is"):
            InterestWeights(**{field.name: wrong})
