"""The tool that judges the tests is judged itself, on functions small enough to read."""

import pytest

from tests import mutants

HALF = b"def half(n):\n    return n / 2\n"


def changes(source):
    return {(one.before, one.after) for one in mutants.every_mutant("toy.py", source)}


def lines(*text):
    return ("\n".join(text) + "\n").encode()


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("a + b * c", {"a - b * c", "a + b / c"}),
        ("a and b or c", {"a or b or c", "a and b and c"}),
        ("a < b <= 1", {"a <= b <= 1", "a < b < 1", "a < b <= 2"}),
        ("a not in b", {"a in b"}),
        ("not a", {"a"}),
        ("-a", {"a"}),
        ("x if f(a) else y", {"x if not (f(a)) else y"}),
        ("[a for a in b if a]", {"[a for a in b if not (a)]"}),
        ("f(0.5, True)", {"f(1.5, True)", "f(0.5, False)"}),
        ("a is None", {"a is not None"}),
        ("甲 + b", {"甲 - b"}),  # places are counted in bytes
    ],
)
def test_each_small_fault_is_made_once(line, after):
    assert changes(lines(line)) == {(line, mutated) for mutated in after}


def test_what_is_said_or_declared_is_left_alone():
    source = lines(
        '"""Text of 1 + 1."""',
        "@dataclass(frozen=True)",
        "class A:",
        "    b: Literal[1]",
        "    def c(self, d: Literal[2]) -> Literal[3]:",
        '        raise ValueError(f"{d + 1} is not {2}")',
        "if TYPE_CHECKING:",
        "    zip(a, b, strict=True)",
    )
    assert changes(source) == set()


def test_a_mutant_is_named_by_its_place_and_its_text():
    (first, second) = mutants.every_mutant("toy.py", lines("class A:", *["    x = 1"] * 2))
    assert first.key == second.key == ("toy.py", "A", "x = 1", "x = 2")
    assert str(first) == "toy.py:2: x = 1  ->  x = 2"


def test_a_draw_is_the_same_each_time_and_outlives_edits_elsewhere():
    body = [f"x{number} = {number}" for number in range(30)]
    every = mutants.every_mutant("toy.py", lines(*body))
    drawn = mutants.sample(every, 10, seed=0)
    assert len(drawn) == 10
    assert mutants.sample(every, 10, seed=0) == drawn
    assert mutants.sample(every, 10, seed=1) != drawn
    moved = mutants.every_mutant("toy.py", lines("'a new line'", *body))
    keys = [mutant.key for mutant in drawn]
    assert [mutant.key for mutant in mutants.sample(moved, 10, seed=0)] == keys
    assert mutants.sample(every, 100, seed=0) == every


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Return a function: source, test -> the exit codes of all its mutants."""
    monkeypatch.setattr(mutants, "ROOT", tmp_path)

    def judge(source, test, timeout=60):
        (tmp_path / "toy.py").write_bytes(source)
        (tmp_path / "test_toy.py").write_text(f"import toy\ndef test():\n    assert {test}\n")
        codes = {}
        for mutant in mutants.every_mutant("toy.py", source):
            code = mutants.exit_code("toy.py", mutant.source, ["test_toy.py"], timeout)
            codes[mutant.after] = code
        return codes

    return judge


def test_weak_tests_leave_survivors_and_strong_ones_none(toy):
    survived = {"return n * 2": 0, "return n / 3": 0}
    assert toy(HALF, "toy.half(0) == 0") == survived
    killed = {"return n * 2": 1, "return n / 3": 1}
    assert toy(HALF, "toy.half(3) == 1.5") == killed
    assert mutants.ROOT.joinpath("toy.py").read_bytes() == HALF


def test_an_endless_loop_is_killed_by_the_clock(toy):
    codes = toy(b"def f():\n    while False:\n        pass\n", "toy.f() is None", timeout=0.5)
    assert codes == {"while True:": None}


def test_each_explanation_is_of_a_mutant_that_there_is():
    keys = set()
    for file in mutants.TESTS:
        source = (mutants.ROOT / file).read_bytes()
        keys |= {mutant.key for mutant in mutants.every_mutant(file, source)}
    assert mutants.explained() <= keys
