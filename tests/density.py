"""How much one statement asks of a reader, room by room, whatever its layout.

The size of a statement is its number of syntax nodes; of a compound one (if, for, while, with,
match) only the head counts, as its body is measured statement by statement. Docstrings,
annotations and decorators are left out, and an f-string is one node. Splitting or joining lines
changes nothing. Only statements inside functions are measured.

``python -m tests.density`` prints the table that `tests/test_project.py` holds.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "kpay_lab"
HEADS = {
    ast.If: ["test"],
    ast.While: ["test"],
    ast.For: ["target", "iter"],
    ast.AsyncFor: ["target", "iter"],
    ast.With: ["items"],
    ast.AsyncWith: ["items"],
    ast.Match: ["subject"],
}
NO_PART_OF_A_STATEMENT = {"annotation", "returns", "decorator_list", "type_comment"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Figures(NamedTuple):
    """The density of a room's statements; of every figure, less is better.

    ``median`` and ``nine_in_ten`` are sizes, ``over_30`` the percentage of statements of more
    than 30 nodes; comprehensions inside another and assignments of a tuple to a tuple are counted.
    """

    median: int
    nine_in_ten: int
    over_30: float
    nested_comprehensions: int
    tuple_assignments: int


class Room(NamedTuple):
    """A room's figures, and its statements as (size, place), the fullest first."""

    figures: Figures
    fullest: list[tuple[int, str]]


def rooms() -> dict[str, Room]:
    """Measure every room of the package; modules outside of a room are the room ``.``."""
    paths: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        name = str(inside.parents[-2]) if len(inside.parents) > 1 else "."
        paths.setdefault(name, []).append(path)
    return {name: measure(paths_of_room) for name, paths_of_room in paths.items()}


def measure(paths: Iterable[Path]) -> Room:
    """Measure some files as one room."""
    found = []
    nested_comprehensions = 0
    tuple_assignments = 0
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, FUNCTIONS):
                found += [(size(one), f"{path}:{one.lineno}") for one in statements(node)]
            nested_comprehensions += holds_a_comprehension(node)
            tuple_assignments += is_tuple_assignment(node)
    fullest = sorted(found, reverse=True)
    sizes = sorted(n for n, _ in found)
    n_over_30 = sum(n > 30 for n in sizes)
    last = len(sizes) - 1
    figures = Figures(
        median=sizes[int(0.5 * last)],
        nine_in_ten=sizes[int(0.9 * last)],
        over_30=round(100 * n_over_30 / len(sizes), 1),
        nested_comprehensions=nested_comprehensions,
        tuple_assignments=tuple_assignments,
    )
    return Room(figures, fullest)


def statements(function: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a function; a definition in it is a function of its own."""
    body = function.body
    docstring = ast.get_docstring(function, clean=False)
    yield from inner_statements(body if docstring is None else body[1:])


def inner_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body, and those in the bodies of compound ones."""
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        if not isinstance(statement, (ast.Try, ast.TryStar)):  # a try has no head
            yield statement
        for name in ("body", "orelse", "finalbody"):
            yield from inner_statements(getattr(statement, name, []))
        for name in ("handlers", "cases"):
            for branch in getattr(statement, name, []):
                yield from inner_statements(branch.body)


def size(statement: ast.stmt) -> int:
    """Return the number of nodes of a simple statement, or of the head of a compound one."""
    parts = HEADS.get(type(statement), statement._fields)
    return 1 + sum(count_nodes(child) for child in children(statement, parts))


def count_nodes(node: ast.AST) -> int:
    """Return the number of nodes of an expression."""
    if isinstance(node, ast.expr_context):  # whether a name is read or written
        return 0
    if isinstance(node, ast.JoinedStr):
        return 1
    return 1 + sum(count_nodes(child) for child in children(node, node._fields))


def children(node: ast.AST, names: Iterable[str]) -> Iterator[ast.AST]:
    """Yield the nodes in the named parts of a node."""
    for name in names:
        if name in NO_PART_OF_A_STATEMENT:
            continue
        part = getattr(node, name)
        some = part if isinstance(part, list) else [part]
        yield from (child for child in some if isinstance(child, ast.AST))


def holds_a_comprehension(node: ast.AST) -> bool:
    """Tell whether a node is a comprehension with another one inside."""
    if not isinstance(node, COMPREHENSIONS):
        return False
    n_comprehensions = sum(isinstance(inner, COMPREHENSIONS) for inner in ast.walk(node))
    return n_comprehensions > 1


def is_tuple_assignment(node: ast.AST) -> bool:
    """Tell whether a node assigns a tuple of expressions to a tuple, as in ``a, b = 1, 2``."""
    if not isinstance(node, ast.Assign):
        return False
    return isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)


def table() -> str:
    """Write the figures of every room as the table in `tests/test_project.py`."""
    lines = []
    for name, room in rooms().items():
        figures = ", ".join(map(str, room.figures))
        lines.append(f'    "{name}": Figures({figures}),\n')
    return "DENSITY = {\n" + "".join(lines) + "}"


if __name__ == "__main__":
    print(table())
