"""The schematic of a network for a batch: boxes and edges as data, and drawn for a terminal.

Boxes hold one equation each, with the parameters that it uses; every edge carries its shape and,
backwards, the gradient that flows along it. Knows nothing of values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backproof.calculus.batch.sheet import renamed_expr
from backproof.calculus.model import Model
from backproof.operators.dims import SCALAR
from backproof.operators.node import quantities
from backproof.working.writing import listed, step_shape, written

Size = tuple[int | str, ...]  # in paper form: () a number, (3,) a column


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    id          the quantity's name
    label       what stands in the box first
    equation    the right-hand side; "" for an input
    role        given | intermediate | loss
    kind        input | layer | activation | loss | average | hidden (left blank)
    shape       of the quantity
    parameters  (name, shape) of what it learns from or is set by
    shared      the parameters among them that other boxes use too
    partners    those other boxes
    twin        the name of the group of boxes that do the same with the same parameters, or ""
    """

    id: str
    label: str
    equation: str
    role: str
    kind: str
    shape: Size
    parameters: tuple[tuple[str, Size], ...] = ()
    shared: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()
    twin: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """From one box to another; `gradient` names what flows back along it, "" where nothing does."""

    start: str
    end: str
    shape: Size
    gradient: str = ""


@dataclass(frozen=True, slots=True)
class Schematic:
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]

    def data(self) -> dict[str, Any]:
        """As plain data for a drawing; each way of an edge is an entry of its own."""
        edges = []
        for e in self.edges:
            shape = list(e.shape)
            edges.append({"from": e.start, "to": e.end, "shape": shape, "direction": "forward",
                          "label": e.start})  # fmt: skip
            if e.gradient:
                edges.append({"from": e.end, "to": e.start, "shape": shape,
                              "direction": "backward", "label": e.gradient})  # fmt: skip
        return {
            "boxes": [
                {
                    "id": b.id, "label": b.label, "equation": b.equation, "role": b.role,
                    "kind": b.kind, "shape": list(b.shape), "twin": b.twin or None,
                    "parameters": [
                        {"name": n, "shape": list(s), "shared": n in b.shared}
                        for n, s in b.parameters
                    ],
                    "partners": list(b.partners),
                }
                for b in self.boxes
            ],
            "edges": edges,
        }  # fmt: skip


def from_data(data: Mapping[str, Any]) -> Schematic:
    """The schematic that `Schematic.data` wrote."""
    boxes = tuple(
        Box(
            b["id"], b["label"], b["equation"], b["role"], b["kind"], tuple(b["shape"]),
            tuple((p["name"], tuple(p["shape"])) for p in b["parameters"]),
            tuple(p["name"] for p in b["parameters"] if p["shared"]),
            tuple(b["partners"]), b["twin"] or "",
        )
        for b in data["boxes"]
    )  # fmt: skip
    back = {(e["to"], e["from"]): e["label"] for e in data["edges"] if e["direction"] != "forward"}
    edges = tuple(
        Edge(e["from"], e["to"], tuple(e["shape"]), back.get((e["from"], e["to"]), ""))
        for e in data["edges"]
        if e["direction"] == "forward"
    )
    return Schematic(boxes, edges)


def size_text(shape: Size) -> str:
    """A shape in the fewest signs: `a number`, `3 × 1`, `(d + 1) × b`."""
    if not shape:
        return "a number"
    if str(shape[0])[0] in "[⟦":  # left blank
        return str(shape[0])
    sizes = [f"({d})" if " " in str(d) else str(d) for d in shape]
    return " × ".join([*sizes, "1"] if len(sizes) == 1 else sizes)


def schematic(model: Model, loss: str, row: str = "") -> Schematic:
    """The boxes and edges below a loss; *row* is the name of the losses of the samples."""
    below = _below(model, loss)
    learned = set(model.learned)
    computed = [n for n in below if n in model.definitions]
    flow = {n for n in computed if model.depends_on(model.leaves[n]) & learned}
    inputs = [n for n in model.sheet.given if n in below and not _is_setting(model, n)]
    order = [*inputs, *(n for n in model.sheet.order if n in below)]
    used_by: dict[str, list[str]] = {}
    for name in order:
        for p in _direct(model, name):
            used_by.setdefault(p, []).append(name)
    twins = _twins(model, order)
    boxes, edges = [], []
    for name in order:
        above = _direct(model, name)
        own = [p for p in above if p in learned or _is_setting(model, p)]
        boxes.append(
            Box(
                id=name,
                label=name,
                equation="" if name in inputs else written(model.sheet.equations[name].expr),
                role=_role(name, inputs, (loss, row)),
                kind=_kind(name, loss, row, inputs, bool(learned & set(above))),
                shape=step_shape(model.shape(name)),
                parameters=tuple((p, step_shape(model.shape(p))) for p in own),
                shared=tuple(p for p in own if len(used_by[p]) > 1),
                partners=tuple(dict.fromkeys(u for p in own for u in used_by[p] if u != name)),
                twin=twins.get(name, ""),
            )
        )
        for start in above:
            if start not in own:
                gradient = f"∂{loss}/∂{start}" if start in flow else ""
                edges.append(Edge(start, name, step_shape(model.shape(start)), gradient))
    return Schematic(tuple(boxes), tuple(edges))


def _role(name: str, inputs: Sequence[str], losses: Sequence[str]) -> str:
    return "given" if name in inputs else "loss" if name in losses else "intermediate"


def _kind(name: str, loss: str, row: str, inputs: Sequence[str], learns: bool) -> str:
    if name in inputs:
        return "input"
    if name == loss:
        return "average" if row else "loss"
    if name == row:
        return "loss"
    return "layer" if learns else "activation"


def _is_setting(model: Model, name: str) -> bool:
    """A given number that is a constant of the training, drawn like a parameter."""
    fact = model.declared.get(name)
    return (
        fact is not None
        and model.sheet.kind_of(name) == "given"
        and model.shape(name) == SCALAR
        and (fact.kind in ("pos", "interval") or model.has_value(name))
    )


def _direct(model: Model, name: str) -> list[str]:
    """The quantities that an equation names, in the order written."""
    return list(model.sheet.uses.get(name, ()))


def _below(model: Model, root: str) -> set[str]:
    found, pending = {root}, [root]
    while pending:
        name = pending.pop()
        if name in model.definitions:
            for n in quantities([model.definitions[name]]) - found:
                found.add(n)
                pending.append(n)
    return found


def _twins(model: Model, order: Sequence[str]) -> dict[str, str]:
    """Boxes that do the same with the same parameters, and what follows them in step."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    signature: dict[str, tuple[Any, ...]] = {}
    for name in order:
        uses = [n for n in _direct(model, name) if model.sheet.kind_of(n) != "learn"]
        if name not in model.sheet.equations:
            continue
        holes = {n: f"·{k}" for k, n in enumerate(uses)}
        shape = written(renamed_expr(model.sheet.equations[name].expr, holes))
        learned = tuple(n for n in _direct(model, name) if model.sheet.kind_of(n) == "learn")
        above = tuple(signature[n] for n in uses if n in signature)
        if learned or above:
            signature[name] = (shape, learned, above)
            groups.setdefault(signature[name], []).append(name)
    result: dict[str, str] = {}
    for group in groups.values():
        if len(group) > 1:
            result.update(dict.fromkeys(group, " and ".join(group)))
    return result


# --- drawing ------------------------------------------------------------------------------------

WIDTH = 76
MOST_LANES = 3
_GAP = 2


def draw(plan: Schematic, width: int = WIDTH) -> str:
    """The schematic with box characters: lanes side by side where they fit, else a list."""
    levels = _levels(plan)
    if max(len(level) for level in levels) <= MOST_LANES:
        drawn = _Lanes(plan, levels, width).text()
        if drawn is not None:
            return drawn
    return _list(plan, width)


def _levels(plan: Schematic) -> list[list[str]]:
    """Box ids level by level; an id with `|` is an edge passing a level: `|start>end`."""
    depth: dict[str, int] = {}
    for box in plan.boxes:
        depth[box.id] = 1 + max((depth[e.start] for e in plan.edges if e.end == box.id), default=-1)
    for box in plan.boxes:
        if box.kind == "input":
            ends = [depth[e.end] for e in plan.edges if e.start == box.id]
            depth[box.id] = min(ends) - 1 if ends else 0
    lowest = min(depth.values())
    levels: list[list[str]] = [[] for _ in range(max(depth.values()) - lowest + 1)]
    for box in plan.boxes:
        levels[depth[box.id] - lowest].append(box.id)
    for e in plan.edges:
        for level in range(depth[e.start] + 1, depth[e.end]):
            passing = f"|{e.start}"
            if passing not in levels[level - lowest]:
                levels[level - lowest].append(passing)
    return levels


def _cell_of(name: str) -> str:
    return name.removeprefix("|")


class _Lanes:
    """Draws level by level; every level's cells share the width evenly."""

    def __init__(self, plan: Schematic, levels: list[list[str]], width: int) -> None:
        self.plan, self.width = plan, width
        self.boxes = {b.id: b for b in plan.boxes}
        self.levels = levels
        self.centre: list[dict[str, int]] = []
        self._place()

    def _place(self) -> None:
        """Orders each level by where what leads to it stands."""
        before: dict[str, float] = {}
        for k, level in enumerate(self.levels):
            if k:
                level.sort(key=lambda cell: self._wish(cell, before))
            slot = self.width // len(level)
            places = {cell: slot * i + slot // 2 for i, cell in enumerate(level)}
            self.centre.append(places)
            before = {_cell_of(c): float(x) for c, x in places.items()}

    def _wish(self, cell: str, before: dict[str, float]) -> float:
        name = _cell_of(cell)
        if cell.startswith("|"):
            return before.get(name, float(self.width))
        starts = [before[e.start] for e in self.plan.edges if e.end == name and e.start in before]
        return sum(starts) / len(starts) if starts else float(self.width)

    def text(self) -> str | None:
        rows: list[str] = []
        for k, level in enumerate(self.levels):
            drawn = self._level(k, level)
            if drawn is None:
                return None
            rows += drawn
            if k + 1 < len(self.levels):
                between = self._between(k)
                if between is None:
                    return None
                rows += between
        return "\n".join(row.rstrip() for row in rows)

    def _level(self, k: int, level: list[str]) -> list[str] | None:
        slot = self.width // len(level)
        blocks: list[tuple[str, list[str]]] = []
        for cell in level:
            if cell.startswith("|"):
                blocks.append((cell, []))
                continue
            block = box_rows(self.boxes[cell], slot - _GAP)
            if block is None:
                return None
            blocks.append((cell, block))
        height = max(len(b) for _, b in blocks)
        canvas = _Canvas(self.width, height)
        for cell, block in blocks:
            x = self.centre[k][cell]
            if not block:
                for r in range(height):
                    canvas.put(r, x, "│")
                continue
            left = x - len(block[0]) // 2
            for r, row in enumerate(block):
                canvas.write(r, left, row)
            if k and any(e.end == cell for e in self.plan.edges):
                canvas.put(0, x, "┴")
            if any(e.start == cell for e in self.plan.edges):
                canvas.put(len(block) - 1, x, "┬")
                for r in range(len(block), height):
                    canvas.put(r, x, "│")
        return canvas.rows()

    def _between(self, k: int) -> list[str] | None:
        """The edges from one level to the next: labels beside the lines, then the joins."""
        here, there = self.centre[k], self.centre[k + 1]
        links: list[tuple[str, int, int]] = []  # child, from, to
        for cell, x in here.items():
            name = _cell_of(cell)
            for other, y in there.items():
                passes = other == f"|{name}"
                if passes or any(e.start == name and e.end == other for e in self.plan.edges):
                    links.append((other, x, y))
        starts = sorted({x for _, x, _ in links})
        labels = self._labels(here, starts)
        if labels is None:
            return None
        bands = _bands(links)
        canvas = _Canvas(self.width, len(labels) + len(bands))
        for r, row in enumerate(labels):
            canvas.write(r, 0, row)
        for x in starts:
            for r in range(len(labels)):
                canvas.put(r, x, "│")
        for r, band in enumerate(bands):
            _join(canvas, len(labels) + r, band, links, bands, r)
        return canvas.rows()

    def _labels(self, here: dict[str, int], starts: list[int]) -> list[str] | None:
        forward, backward = [" "] * self.width, [" "] * self.width
        any_back = False
        for cell, x in here.items():
            if x not in starts or cell.startswith("|"):
                continue
            box = self.boxes[cell]
            gradient = next((e.gradient for e in self.plan.edges if e.start == cell), "")
            room = min([s for s in starts if s > x], default=self.width) - x - 3
            for canvas, label in (
                (forward, f"↓ {size_text(box.shape)}"),
                (backward, f"↑ {gradient}" if gradient else ""),
            ):
                if len(label) > room:
                    return None
                canvas[x + 2 : x + 2 + len(label)] = list(label)
                any_back = any_back or label.startswith("↑")
        rows = ["".join(forward)]
        return [*rows, "".join(backward)] if any_back else rows


class _Canvas:
    def __init__(self, width: int, height: int) -> None:
        self._cells = [[" "] * width for _ in range(height)]

    def put(self, row: int, column: int, sign: str) -> None:
        self._cells[row][column] = sign

    def get(self, row: int, column: int) -> str:
        return self._cells[row][column]

    def write(self, row: int, column: int, text: str) -> None:
        for k, sign in enumerate(text):
            if 0 <= column + k < len(self._cells[row]):
                self._cells[row][column + k] = sign

    def rows(self) -> list[str]:
        return ["".join(row) for row in self._cells]


def _bands(links: list[tuple[str, int, int]]) -> list[list[str]]:
    """Which children's joins share a row: those whose lines do not overlap."""
    spans: dict[str, tuple[int, int]] = {}
    for child, x, y in links:
        low, high = spans.get(child, (y, y))
        spans[child] = (min(low, x), max(high, x))
    bands: list[list[str]] = []
    for child, (low, high) in spans.items():
        if low == high:
            continue
        for band in bands:
            if all(high < spans[o][0] or low > spans[o][1] for o in band):
                band.append(child)
                break
        else:
            bands.append([child])
    return bands


def _join(
    canvas: _Canvas,
    row: int,
    band: list[str],
    links: list[tuple[str, int, int]],
    bands: list[list[str]],
    at: int,
) -> None:
    """One row of joins; lines that are not joined here pass straight through."""
    later = {c for b in bands[at + 1 :] for c in b}
    earlier = {c for b in bands[:at] for c in b}
    for child, x, y in links:
        if child in later:
            canvas.put(row, x, "│")
        elif child in earlier or child not in band:
            canvas.put(row, y, "│")
    for child in band:
        own = [(x, y) for c, x, y in links if c == child]
        target = own[0][1]
        sources = [x for x, _ in own]
        low, high = min([*sources, target]), max([*sources, target])
        for column in range(low, high + 1):
            up = column in sources or canvas.get(row, column) == "│"
            passing = canvas.get(row, column) == "│" and column not in sources
            if passing and column != target:
                continue  # a line that only crosses
            down = column == target or (canvas.get(row, column) == "│")
            canvas.put(row, column, _CORNERS[up, down, column > low, column < high])


# (up, down, left, right) -> the sign with these arms
_CORNERS = {
    (True, False, False, True): "└", (True, False, True, False): "┘",
    (False, True, False, True): "┌", (False, True, True, False): "┐",
    (True, False, True, True): "┴", (False, True, True, True): "┬",
    (True, True, False, True): "├", (True, True, True, False): "┤", (True, True, True, True): "┼",
    (False, False, True, True): "─", (False, False, False, True): "─",
    (False, False, True, False): "─", (True, True, False, False): "│",
    (True, False, False, False): "│", (False, True, False, False): "│",
}  # fmt: skip


def box_rows(box: Box, most: int) -> list[str] | None:
    """A box as lines, at most *most* wide; None where a word does not fit."""
    title = f"{box.label} = {box.equation}" if box.equation else f"{box.label}  {box.kind}"
    title = box.label if box.kind == "hidden" else title
    rows = _wrapped(title, most - 4)
    if box.parameters:
        parts = [f"{n}: {size_text(s)}" for n, s in box.parameters]
        rows += _wrapped(", ".join(parts), most - 4)
    if box.shared:
        few = len(box.partners) <= 2
        others = listed(box.partners) if few else f"{len(box.partners)} other boxes"
        rows += _wrapped(f"{', '.join(box.shared)} shared with {others}", most - 4)
    if any(len(r) > most - 4 for r in rows):
        return None
    width = max(len(r) for r in rows)
    edge = "─" * (width + 2)
    return [f"┌{edge}┐", *(f"│ {r:<{width}} │" for r in rows), f"└{edge}┘"]


def _wrapped(text: str, width: int) -> list[str]:
    rows: list[str] = []
    for word in text.split(" "):
        if rows and len(rows[-1]) + 1 + len(word) <= width:
            rows[-1] += f" {word}"
        else:
            rows.append(word if not rows else f"  {word}")
    return rows


def _list(plan: Schematic, width: int) -> str:
    """Boxes below one another, each under the edges that lead into it."""
    rows: list[str] = []
    for box in plan.boxes:
        for e in plan.edges:
            if e.end == box.id:
                back = f"   ↑ {e.gradient}" if e.gradient else ""
                rows.append(f"  ↓ {e.start}  {size_text(e.shape)}{back}")
        rows += box_rows(box, width) or [f"[{box.label} = {box.equation}]"]
    return "\n".join(rows)
