"""Do the tests notice a small fault? Each mutant is a module with one, and a test should fail.

``python -m tests.mutants [FILE ...]`` (``make mutants``) changes the modules of `TESTS` in one
place at a time: an operator, a comparison, a number, a truth value, a condition. It draws 40 such
changes a file (``--most``), the same each time, runs the module's own tests and doctests against
each, and prints the mutants that survive. One whose tests do not end is killed by the clock. A
survivor is killed by a test that holds the right value, or stands in ``mutants_equivalent.yaml``
with its reason. Any other makes the exit code 1.

A mutant lives in the memory of a forked process and never in a file. The fork comes after the
imports, so that one costs a second: mutmut works on a copy of the project and also mutates the
texts of messages, cosmic-ray rewrites the file in place and starts Python anew for each.
"""

import argparse
import ast
import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import hypothesis.configuration
import pytest
import yaml

ROOT = Path(__file__).parents[1]
EQUIVALENT = ROOT / "tests" / "mutants_equivalent.yaml"
TESTS = {
    "kpay_lab/evaluate/ranking.py": [
        "tests/evaluate/test_ranking.py",
        "tests/evaluate/test_ties.py",
        "tests/evaluate/test_refused.py",
    ],
    "kpay_lab/evaluate/ties.py": ["tests/evaluate/test_ties.py"],
    "kpay_lab/evaluate/beyond.py": ["tests/evaluate/test_beyond.py"],
    "kpay_lab/stats.py": ["tests/test_stats.py"],
    "kpay_lab/experiments/ab.py": [
        "tests/experiments/test_ab.py",
        "tests/experiments/test_plots.py",
    ],
    "kpay_lab/experiments/ope.py": [
        "tests/experiments/test_ope.py",
        "tests/experiments/test_plots.py",
    ],
    "kpay_lab/experiments/sequential.py": [
        "tests/experiments/test_sequential_power.py",
        "tests/experiments/test_plots.py",
    ],
    "kpay_lab/experiments/followed.py": ["tests/experiments/test_followed.py"],
    "kpay_lab/interest/formulas.py": ["tests/interest/test_formulas.py"],
    "kpay_lab/data/number_cells.py": ["tests/data/test_parsing.py", "tests/data/test_cases.py"],
    "kpay_lab/data/time_cells.py": ["tests/data/test_parsing.py", "tests/data/test_cases.py"],
    "kpay_lab/data/parsing.py": ["tests/data/test_parsing.py", "tests/data/test_reading.py"],
    "kpay_lab/data/id_cells.py": ["tests/data/test_parsing.py", "tests/data/test_cases.py"],
}
OPERATORS = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
# What is said and what is declared (and zip's "strict"): no test can or should hold it.
NO_BEHAVIOUR = {"annotation", "returns", "decorator_list", "type_comment"}
SAID = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
SURVIVED = 0  # pytest's exit code where every test passed


@dataclass(frozen=True)
class Mutant:
    """A file's text with one change, named by its lines before and after and not by their number.

    ``within`` is the function or class around it, empty in the module's own statements.
    """

    file: str
    within: str
    line: int
    before: str
    after: str
    source: bytes

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What stays the same when the file is edited elsewhere."""
        return (self.file, self.within, self.before, self.after)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before}  ->  {self.after}"


@dataclass(frozen=True)
class Change:
    """The bytes from ``start`` to ``end`` are replaced."""

    start: int
    end: int
    replacement: bytes


class Text:
    """A source file in which a syntax node is found by its place in bytes."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.line_starts = [0]
        for line in source.splitlines(keepends=True):
            self.line_starts.append(self.line_starts[-1] + len(line))

    def start(self, node: ast.expr) -> int:
        """Return the place of a node's first byte."""
        return self.line_starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr) -> int:
        """Return the place after a node's last byte."""
        return self.line_starts[node.end_lineno - 1] + node.end_col_offset

    def swap(self, left: ast.expr, operator: ast.AST, right: ast.expr) -> Iterator[Change]:
        """Replace the operator between two operands."""
        if type(operator) not in OPERATORS:
            return
        old, new = (word.encode() for word in OPERATORS[type(operator)])
        start = self.source.index(old, self.end(left))
        assert start < self.start(right)
        yield Change(start, start + len(old), new)

    def changes(self, node: ast.AST) -> Iterator[Change]:
        """Give every small fault of a node, without those of its parts."""
        match node:
            case ast.BinOp(left, operator, right):
                yield from self.swap(left, operator, right)
            case ast.AugAssign(target, operator, value):
                yield from self.swap(target, operator, value)
            case ast.BoolOp(operator, values):
                for left, right in pairwise(values):
                    yield from self.swap(left, operator, right)
            case ast.Compare(left, operators, comparators):
                for operator, right in zip(operators, comparators, strict=True):
                    yield from self.swap(left, operator, right)
                    left = right
            case ast.UnaryOp(ast.Not() | ast.USub() | ast.Invert(), operand):
                yield Change(self.start(node), self.start(operand), b"")
            case ast.Constant(bool() | int() | float() as value):
                other = not value if isinstance(value, bool) else value + 1
                yield Change(self.start(node), self.end(node), repr(other).encode())
            case ast.If(ast.Name("TYPE_CHECKING")):
                pass  # it is only imported sooner
            case ast.If(condition) | ast.While(condition) | ast.IfExp(condition):
                yield from self.negated(condition)
            case ast.comprehension(ifs=conditions):
                for condition in conditions:
                    yield from self.negated(condition)

    def negated(self, condition: ast.expr) -> Iterator[Change]:
        """Turn a condition round, unless that is what another change does."""
        if isinstance(condition, ast.Compare | ast.UnaryOp | ast.Constant):
            return
        start, end = self.start(condition), self.end(condition)
        yield Change(start, end, b"not (" + self.source[start:end] + b")")


def every_mutant(file: str, source: bytes) -> list[Mutant]:
    """Return all the mutants of a file, in the order of its text."""
    text = Text(source)
    lines = source.splitlines()
    mutants = []
    for within, node in _nodes(ast.parse(source), ""):
        for change in text.changes(node):
            mutated = source[: change.start] + change.replacement + source[change.end :]
            number = source.count(b"\n", 0, change.start)
            before = lines[number].decode().strip()
            after = mutated.splitlines()[number].decode().strip()
            mutants.append(Mutant(file, within, number + 1, before, after, mutated))
    return sorted(mutants, key=lambda mutant: mutant.line)


def _nodes(node: ast.AST, within: str) -> Iterator[tuple[str, ast.AST]]:
    """Walk through what can behave otherwise, with the name of the function around it."""
    if isinstance(node, SAID) or (isinstance(node, ast.keyword) and node.arg == "strict"):
        return
    yield within, node
    inside = f"{within}.{node.name}".lstrip(".") if isinstance(node, FUNCTIONS) else within
    for field, value in ast.iter_fields(node):
        if field in NO_BEHAVIOUR:
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from _nodes(part, inside)


def sample(mutants: list[Mutant], most: int, seed: int) -> list[Mutant]:
    """Draw at most so many; an edit elsewhere in the file leaves the draw of the others alone."""

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(repr((seed, *mutant.key)).encode()).digest()

    drawn = sorted(mutants, key=lot)[:most]
    return sorted(drawn, key=lambda mutant: mutant.line)


class Patched(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a text in memory instead of its file."""

    def __init__(self, file: str, source: bytes) -> None:
        self.name = module_name(file)
        self.path = str(ROOT / file)
        self.source = source

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the mutated module only."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated text as the module."""
        exec(compile(self.source, self.path, "exec"), module.__dict__)


def module_name(file: str) -> str:
    """Name a file as Python imports it."""
    return file.removesuffix(".py").replace("/", ".")


def exit_code(file: str, source: bytes, tests: list[str], timeout: float) -> int | None:
    """Run the tests on a text of the file in a fork; None where they did not end in time."""
    process = os.fork()
    if process == 0:
        os.setsid()
        code = 1
        try:
            code = _run_tests(file, source, tests)
        finally:
            os._exit(code)
    end = time.monotonic() + timeout
    try:
        while time.monotonic() < end:
            finished, status = os.waitpid(process, os.WNOHANG)
            if finished:
                process = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        return None
    finally:
        if process:  # it is endless, or somebody interrupted us
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _run_tests(file: str, source: bytes, tests: list[str]) -> int:
    """Run pytest in this process, which is a fork, on a text of the file."""
    sys.meta_path.insert(0, Patched(file, source))
    importlib.import_module(module_name(file))  # before pytest, which reads the files it is given
    with tempfile.TemporaryDirectory() as folder:
        hypothesis.configuration.set_hypothesis_home_dir(folder)
        options = ["-x", "--hypothesis-seed=0", f"--basetemp={folder}/tests"]
        return run_pytest([*options, file, *tests])


def run_pytest(arguments: list[str]) -> int:
    """Run pytest on files below `ROOT`; nothing is printed and nothing is left behind."""
    paths = [str(ROOT / one) if one.endswith(".py") else one for one in arguments]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return int(pytest.main(["-q", "--doctest-modules", "-p", "no:cacheprovider", *paths]))


def warm_up(file: str, tests: list[str]) -> None:
    """Import all that pytest and the tests import, then forget what is ours: the rest is warm."""
    run_pytest(["--collect-only", file, *tests])
    for name in list(sys.modules):
        if name.partition(".")[0] in ("kpay_lab", "tests") and name != __name__:
            del sys.modules[name]


def explained() -> set[tuple[str, str, str, str]]:
    """Return the keys of the survivors that are equivalent to the original."""
    entries = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or []
    keys = set()
    for entry in entries:
        assert entry["reason"], f"{entry} needs a reason"
        keys.add((entry["file"], entry["within"], entry["before"], entry["after"]))
    return keys


def survivors(file: str, mutants: list[Mutant], tests: list[str]) -> Iterator[Mutant]:
    """Give the mutants that the tests take for the original, which must pass them itself."""
    start = time.monotonic()
    original = (ROOT / file).read_bytes()
    if exit_code(file, original, tests, timeout=600) != SURVIVED:
        raise SystemExit(f"{file} itself fails in {', '.join(tests)}; mend that first")
    timeout = 20 + 5 * (time.monotonic() - start)
    for mutant in mutants:
        if exit_code(file, mutant.source, tests, timeout) == SURVIVED:
            yield mutant


def judge(file: str, most: int, seed: int) -> bool:
    """Print each survivor without an explanation, then the numbers; return whether none was."""
    tests = TESTS[file]
    warm_up(file, tests)
    every = every_mutant(file, (ROOT / file).read_bytes())
    mutants = sample(every, most, seed)
    print(f"{file}: {len(mutants)} mutants of {len(every)}", flush=True)
    known = explained()
    n_equivalent = 0
    n_open = 0
    for mutant in survivors(file, mutants, tests):
        if mutant.key in known:
            n_equivalent += 1
        else:
            n_open += 1
            print(f"  {mutant}", flush=True)
    n_killed = len(mutants) - n_equivalent - n_open
    print(f"  {n_killed} killed, {n_equivalent} equivalent, {n_open} survive", flush=True)
    return n_open == 0


def _in_a_process_of_its_own(file: str, most: int, seed: int) -> int:
    """Judge one file in a fork, so that no other file's imports are warm when it begins."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            code = 0 if judge(file, most, seed) else 1
        except SystemExit as end:
            print(end, file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def main(arguments: list[str] | None = None) -> int:
    """Judge the files that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("files", nargs="*", metavar="FILE", help="such as kpay_lab/stats.py")
    parser.add_argument("--most", type=int, default=40, help="mutants a file (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    options = parser.parse_args(arguments)
    unknown = [file for file in options.files if file not in TESTS]
    if unknown:
        parser.error(f"no tests are named for {', '.join(unknown)}; known: {', '.join(TESTS)}")
    codes = []
    for file in options.files or list(TESTS):
        codes.append(_in_a_process_of_its_own(file, options.most, options.seed))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
