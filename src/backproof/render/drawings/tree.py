"""The dependency graph of a quantity: the loss at the top, every name once, all edges to it.

What is given is a pill, what is learned has a double frame, what is computed rounded corners.
Layers that repeat are a stack with their number. Reads the data of a tree's working.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backproof.render.drawings import labels as say
from backproof.render.drawings.canvas import Box, Drawing, Rect, Shape
from backproof.render.drawings.layers import Key, layered, longest
from backproof.render.drawings.line import Line, beside, formula_line, words
from backproof.render.drawings.routes import edge, unshared
from backproof.render.formula import FormulaError
from backproof.working.steps import Step

PAD_X, PAD_Y = 11.0, 7.0
MANY = 120  # nodes, beyond which equations are left out
MOST_TOLD = 60  # nodes that are told one by one to a screen reader
SHAPES: dict[str, Shape] = {"given": "pill", "learned": "sharp", "intermediate": "round"}

EdgeLabels = Mapping[tuple[str, str], tuple[str, tuple[int | str, ...] | None]]


@dataclass(frozen=True)
class _Node:
    name: str
    role: str
    lines: tuple[tuple[Line, float, str], ...]  # line, size, style
    title: str
    shape: Shape = "round"

    @property
    def size(self) -> tuple[float, float]:
        wide = max((line.width for line, _, _ in self.lines), default=0.0)
        high = sum(1.3 * size for _, size, _ in self.lines)
        extra = 18.0 if self.shape in ("pill", "stack") else 0.0
        return max(wide + 2 * PAD_X + extra, 34.0), high + 2 * PAD_Y


def tree_drawing(data: Mapping[str, Any], labels: EdgeLabels | None = None) -> Drawing:
    """The drawing of a tree's data.

    labels   (from, to) -> what the edge's local derivative is as LaTeX, and its shape
    """
    nodes, edges = _collapsed(data)
    numbers = {n["name"] for n in data["nodes"] if not n["shape"]}
    found = {n["name"]: _node(n, data["root"], numbers, len(nodes) > MANY) for n in nodes}
    shown = {name: found[name] for name in _as_written(data["root"], found, edges)}
    given = dict(labels or {})
    marked = {e: _label(*given[e]) for e in edges if e in given}
    sizes: dict[Key, tuple[float, float]] = {n: node.size for n, node in shown.items()}
    ranks = longest(sizes, edges)
    links: list[tuple[Key, Key]] = []
    rank: dict[Key, int] = {n: r * (2 if marked else 1) for n, r in ranks.items()}
    for a, b in edges:
        if (a, b) in marked:
            key = ("label", a, b)
            sizes[key] = _size(marked[a, b])
            rank[key] = 2 * ranks[a] + 1
            links += [(a, key), (key, b)]
        else:
            links.append((a, b))
    layout = layered(sizes, links, rank, gap=17.0 if marked else 34.0)
    root = data["root"]
    out = Drawing(f"The dependency graph of {root}", _about(nodes, edges))
    learned: set[Key] = {n for n, node in shown.items() if node.role == "learned"}
    seen: set[tuple[tuple[float, int], tuple[float, int]]] = set()
    target: Key
    for (upper, lower), route in layout.routes.items():
        start = layout.centre[upper][1] + sizes[upper][1] / 2
        end = layout.centre[lower][1] - sizes[lower][1] / 2
        target = lower[2] if isinstance(lower, tuple) else lower
        style = "edge-learned" if target in learned else "edge"
        own = unshared(route, seen)
        if len(own) < len(route):
            end = layout.bands[own[-1][1]][1]
        if len(own) > 1:
            out.paths.append(edge(layout, own, start, end, style))
    for name, node in shown.items():
        _draw(out, node, *layout.centre[name])
    for (a, b), lines in marked.items():
        x, y = layout.centre["label", a, b]
        _write(out, lines, x, y)
    _legend(out, {node.role for node in shown.values()}, bool(marked))
    return out


def _as_written(root: str, names: Collection[str], edges: Sequence[tuple[str, str]]) -> list[str]:
    """The names level by level, those that one equation uses in the order written there."""
    below: dict[str, list[str]] = {}
    for a, b in edges:
        below.setdefault(a, []).append(b)
    order = dict.fromkeys([root] if root in names else names)
    waiting = list(order)
    for name in waiting:
        for child in below.get(name, ()):
            if child not in order:
                order[child] = None
                waiting.append(child)
    return [*order, *(n for n in names if n not in order)]


def _node(node: Mapping[str, Any], root: str, numbers: Collection[str], brief: bool) -> _Node:
    name, equation = node["name"], node.get("equation")
    if say.is_blank(name):
        return _Node(name, "blank", ((words(name, say.NAME), say.NAME, "red-text"),),
                     f"blank number {name[1:-1]}", "blank")  # fmt: skip
    if node["role"] == "stack":
        lines = tuple((words(row, say.SMALL), say.SMALL, "") for row in node["rows"])
        return _Node(name, "stack", lines, " ".join(node["rows"]), "stack")
    role = node["role"]
    if equation and not brief:
        first = say.equation_line(name, equation, numbers, most=380.0)
    else:
        first = say.name_line(name)
    style = "learned-text" if role == "learned" else ""
    shape = say.shape_said(node["shape"])
    title = f"{name} ({shape}), {role}" + (f": {name} = {equation}" if equation else "")
    return _Node(
        name, "loss" if name == root else role,
        ((first, say.NAME, style), (words(shape, say.SMALL), say.SMALL, "soft")),
        title, SHAPES.get(role, "round"),
    )  # fmt: skip


# --- repeats ------------------------------------------------------------------------------------


def _collapsed(
    data: Mapping[str, Any],
) -> tuple[list[Mapping[str, Any]], list[tuple[str, str]]]:
    """Nodes and edges, with everything behind the first block of a repeat in one stack."""
    into: dict[str, str] = {}
    stacks: list[Mapping[str, Any]] = []
    for k, repeat in enumerate(data.get("repeats", ())):
        period, times = repeat["period"], repeat["times"]
        hidden = repeat["names"][period:]
        key = f"×{times} ({k})"
        into.update(dict.fromkeys(hidden, key))
        last = ", ".join(repeat["names"][-period:][:4])
        stacks.append({
            "name": key, "role": "stack", "shape": (1,),
            "rows": [f"×{times}: the same layer", f"{times} times in all, down to {last}"],
        })  # fmt: skip
    users: dict[str, set[str]] = {}
    for e in data["edges"]:
        users.setdefault(e["to"], set()).add(into.get(e["from"], e["from"]))
    roles = {n["name"]: n["role"] for n in data["nodes"]}
    gone = {
        name for name, by in users.items()
        if roles.get(name) == "learned" and len(by) == 1 and next(iter(by)) in set(into.values())
    }  # fmt: skip
    nodes = [n for n in data["nodes"] if n["name"] not in into and n["name"] not in gone]
    edges: dict[tuple[str, str], None] = {}
    for e in data["edges"]:
        a, b = into.get(e["from"], e["from"]), into.get(e["to"], e["to"])
        if a != b and e["to"] not in gone:
            edges[a, b] = None
    return [*nodes, *stacks], list(edges)


# --- labels on edges ----------------------------------------------------------------------------

_Lines = tuple[tuple[Line, float, str], ...]


def edge_labels(steps: Iterable[Step]) -> dict[tuple[str, str], tuple[str, Any]]:
    """(from, to) -> the local derivative as LaTeX and its shape, from a gradient's working."""
    found: dict[tuple[str, str], tuple[str, Any]] = {}
    local = False
    for step in steps:
        if step.kind == "heading":
            local = "local derivatives" in step.text
        named = re.fullmatch(r"∂(\w+)/∂(\w+)", step.label)
        if not (local and named and step.kind == "local" and step.latex):
            continue
        left, _, right = step.latex.partition(" = ")
        passed = left.partition(r" \cdot ")[2]
        if passed:  # a tensor, told by what it does to what is passed on
            right = rf"{passed} \mapsto {right}"
        if (
            right
            and step.because not in ("simplified", "along this path")
            and ("put together" not in step.because)
        ):
            found.setdefault((named[1], named[2]), (right, step.shape))
    return found


def _label(latex: str, shape: Sequence[int | str] | None) -> _Lines:
    try:
        line = formula_line(latex, 12.5)
        if line.width > 170.0:  # the sheet's own name for it, if it has one, else what fits
            line = formula_line(latex.rpartition(" = ")[2], 12.5, 170.0)
    except FormulaError:
        line = words(say.cut(latex, 170.0, 12.5), 12.5)
    if shape:
        line = beside(line, words("  ", 9.0), words(say.shape_said(shape), 10.0))
        main, small = line.runs[:-1], line.runs[-1:]
        return (
            (Line(main, line.width), 12.5, "back-text"),
            (Line(small, line.width), 10.0, "soft"),
        )
    return ((line, 12.5, "back-text"),)


def _size(lines: _Lines) -> tuple[float, float]:
    return max(line.width for line, _, _ in lines) + 6, 20.0


def _write(out: Drawing, lines: _Lines, x: float, y: float) -> None:
    """The parts of a label beside each other, on one baseline."""
    left = x - max(line.width for line, _, _ in lines) / 2
    for line, size, style in lines:
        first = min(run.x for run in line.runs)
        end = max(run.x for run in line.runs)
        moved = Line(tuple(type(r)(r.text, r.x - first, r.y, r.size, r.italic, r.bold)
                           for r in line.runs), 0.0)  # fmt: skip
        wide = end - first + _last_width(line)
        out.write(Line(moved.runs, wide), left + first, y + 4, size, style, "start")


def _last_width(line: Line) -> float:
    from backproof.render.drawings.metrics import text_width

    run = max(line.runs, key=lambda r: r.x)
    return text_width(run.text, run.size)


# --- painting -----------------------------------------------------------------------------------


def _draw(out: Drawing, node: _Node, x: float, y: float) -> None:
    wide, high = node.size
    style = {"stack": "none", "intermediate": "computed"}.get(node.role, node.role)
    style = "computed" if node.role == "stack" else style
    rect = Rect(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    out.boxes.append(Box(rect, node.shape, style, node.title))
    at = y - sum(1.3 * size for _, size, _ in node.lines) / 2
    for line, size, kind in node.lines:
        out.write(line, x, at + size, size, kind)
        at += 1.3 * size


def _legend(out: Drawing, roles: Collection[str], labelled: bool) -> None:
    rect = out.rect
    y = rect.bottom + 8
    entries: list[tuple[Shape, str, str]] = [
        ("pill", "given", "given"), ("sharp", "learned", "learned"),
        ("round", "computed", "computed"), ("round", "loss", "the top"),
    ]  # fmt: skip
    known = {"given": "given", "learned": "learned", "computed": "intermediate", "loss": "loss"}
    entries = [e for e in entries if known[e[1]] in roles]
    wide = sum(24 + 8 + words(word, 11.0).width + 18 for _, _, word in entries) - 18
    x = (rect.left + rect.right - wide) / 2
    for shape, style, word in entries:
        out.boxes.append(Box(Rect(x, y, x + 24, y + 15), shape, style))
        text = out.write(words(word, 11.0), x + 32, y + 11.5, 11.0, "soft", "start")
        x = text.rect.right + 18
    if labelled:
        said = "on the edges: local derivatives and their shapes"
        out.write(words(said, 11.0), (rect.left + rect.right) / 2, y + 33, 11.0, "soft")


def _about(nodes: Sequence[Mapping[str, Any]], edges: Sequence[tuple[str, str]]) -> str:
    below: dict[str, list[str]] = {}
    for a, b in edges:
        below.setdefault(a, []).append(b)
    if len(nodes) > MOST_TOLD:
        return f"{len(nodes)} quantities and {len(edges)} edges."
    told = []
    for node in nodes:
        name = node["name"]
        if node["role"] == "stack":
            told.append(f"{' '.join(node['rows'])}; it uses {', '.join(below.get(name, ()))}.")
            continue
        uses = f" uses {', '.join(below[name])}" if name in below else ""
        told.append(f"{name}, {node['role']}, {say.shape_said(node['shape'])}{uses}.")
    return " ".join(told)
