"""Imports run one way only: each room may use the rooms before it, and none after it.

The order is the one in docs/architecture.md. Every import counts, wherever it stands in a file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "backproof"

# From the ground up. Rooms on one line stand beside each other and do not know each other.
# "__init__" is the public face: what `import backproof` offers.
ORDER: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("language",),
    ("operators",),
    ("calculus",),
    ("working",),
    ("render",),
    ("engine", "papers"),
    ("interop",),
    ("sheets",),
    ("__init__",),
    ("web",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}
# What a room must not import from outside, besides the order above.
FORBIDDEN = {"errors": {"numpy"}, "language": {"numpy"}}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name that a file imports, relative ones made absolute, with its line."""
    package = ("backproof", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def room_named(dotted: str) -> str | None:
    """The room that an import leads to; None for what is not ours."""
    parts = dotted.split(".")
    if parts[0] != "backproof":
        return None
    if len(parts) > 1 and ((PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists()):
        return parts[1]
    return "__init__"


def broken_rules(path: Path) -> list[str]:
    room = room_of(path)
    problems = []
    for line, dotted in imported(path):
        target = room_named(dotted)
        outside = dotted.split(".")[0]
        if outside in FORBIDDEN.get(room, set()):
            problems.append(f"{path.name}:{line}: {room} must not import {outside}")
        if target is None or target == room:
            continue
        if FLOOR[target] >= FLOOR[room]:
            problems.append(f"{path.name}:{line}: {room} must not import {target}")
    return problems


def test_every_room_has_its_place() -> None:
    rooms = {room_of(path) for path in MODULES}
    assert rooms <= FLOOR.keys(), f"not in the order of rooms: {sorted(rooms - FLOOR.keys())}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    assert broken_rules(path) == []


def test_the_order_says_what_was_decided() -> None:
    assert FLOOR["working"] < FLOOR["render"]
    assert FLOOR["engine"] == FLOOR["papers"]
    assert FLOOR["language"] < FLOOR["operators"] < FLOOR["calculus"]
