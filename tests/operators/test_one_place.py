"""An operator is one entry in one place: no interpreter decides anything by an operator's name.

What an interpreter needs to know stands in the entry or is recognised on the node (`terms`,
`matrices`, `diagonal`, …). Names may be shown and passed on, not compared or looked up.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "backproof"
# How often these files may ask for a name; the numbers may only fall. The writers of program text
# spell every operator in another language (NumPy, JAX, numba, PyTorch), rewrite rules are patterns
# over operators, and how weights start is a rule of thumb about the named activation.
SPELLINGS = {
    "engine/cost.py": 3,
    "engine/expressions.py": 5,
    "engine/initial.py": 8,
    "engine/numba_engine.py": 1,
    "engine/numba_rules.py": 2,
    "engine/numba_writer.py": 16,
    "engine/numpy_engine.py": 7,
    "engine/numpy_steps.py": 3,
    "engine/output.py": 1,
    "engine/program.py": 3,
    "engine/rewrites.py": 9,
    "engine/source.py": 2,
    "papers/difficulty.py": 8,  # seconds by hand, as a paper's marking scheme counts them
}
FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if "operators" not in p.parts]


def _asks_name(node: ast.expr, aliases: set[str]) -> bool:
    """Whether an expression is `….op.name`, or a local name for it."""
    if isinstance(node, ast.Name):
        return node.id in aliases
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "name"
        and (
            (isinstance(node.value, ast.Attribute) and node.value.attr == "op")
            or (isinstance(node.value, ast.Name) and node.value.id == "op")
        )
    )


def _fixed(node: ast.expr) -> bool:
    """Whether an expression is a string, or strings, that stand in the source."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(_fixed(e.value if isinstance(e, ast.Starred) else e) for e in node.elts)
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return str(name).isupper()  # a table at the top of a module


def decisions(tree: ast.Module) -> list[int]:
    """The lines that compare an operator's name with strings, or look something up by it."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Lambda)]
    return sorted({line for scope in (tree, *functions) for line in _decided(scope)})


def _decided(scope: ast.AST) -> Iterator[int]:
    module = isinstance(scope, ast.Module)
    nodes = list(ast.walk(scope))
    aliases = {
        target.id
        for node in (scope.body if module else nodes)  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign) and _asks_name(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_asks_name(s, aliases) for s in sides) and any(_fixed(s) for s in sides):
                yield node.lineno
        elif isinstance(node, ast.Subscript):
            if _asks_name(node.slice, aliases):
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looks_up = node.func.attr in ("get", "pop", "setdefault") and node.args
            if looks_up and _asks_name(node.args[0], aliases):
                yield node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_interpreter_decides_by_name(path: Path) -> None:
    found = decisions(ast.parse(path.read_text(encoding="utf-8")))
    allowed = SPELLINGS.get(path.relative_to(PACKAGE).as_posix(), 0)
    assert len(found) <= allowed, f"{path.name} asks for operators by name in lines {found}"


@pytest.mark.parametrize(
    "text",
    [
        'node.op.name == "matmul"',
        'x.args[0].op.name in ("add", "sub")',
        "node.op.name in TABLE",
        "RULES.get(node.op.name)",
        "_RULES[node.op.name]",
        'name = node.op.name\nif name == "relu": pass',
        'op.name != "sum"',
        'op = node.op.name\nif op in ("add", *MORE): pass',
    ],
)
def test_what_counts_as_a_decision(text: str) -> None:
    assert decisions(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    ["make(node.op.name, a)", "node.op.name == other.op", 'f"derivative of {node.op.name}"'],
)
def test_what_is_only_passed_on(text: str) -> None:
    assert not decisions(ast.parse(text))
