"""A network for a batch: boxes from the data down to the loss, what flows along every edge.

Samples are the columns (or rows) of a box; forward runs along the solid line, the gradient back
along the dashed one; what was left blank is a numbered red box. Reads a batch's data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backproof.render.drawings import labels as say
from backproof.render.drawings.canvas import Box, Drawing, Path, Rect, Shape, wrapped
from backproof.render.drawings.layers import Key, layered, longest
from backproof.render.drawings.line import Line, beside, words
from backproof.render.drawings.routes import around, edge

PAD_X, PAD_Y = 12.0, 8.0
STRIP = (62.0, 16.0)  # the columns of samples in a box
ROWS = (42.0, 24.0)
LABEL = 11.5
SHIFT = 3.5


@dataclass(frozen=True)
class _Block:
    """A box with its lines of text, and the strip of samples below them."""

    lines: tuple[tuple[Line, float, str], ...]
    strip: bool
    shape: Shape
    style: str
    title: str

    def size(self, rows: bool) -> tuple[float, float]:
        strip = (ROWS if rows else STRIP) if self.strip else (0.0, 0.0)
        wide = max([strip[0], *(line.width for line, _, _ in self.lines)])
        high = sum(1.32 * size for _, size, _ in self.lines)
        extra = 20.0 if self.shape == "pill" else 0.0
        return wide + 2 * PAD_X + extra, high + 2 * PAD_Y + (strip[1] + 8 if self.strip else 0)


def schematic_drawing(data: Mapping[str, Any]) -> Drawing:
    """The drawing of a batch's data: its `schematic`, and how samples lie."""
    plan = data["schematic"]
    size, rows = str(data.get("size", "")), bool(data.get("rows", False))
    numbers = {b["id"] for b in plan["boxes"] if not b["shape"]}
    numbers |= {p["name"] for b in plan["boxes"] for p in b["parameters"] if not p["shape"]}
    blocks = {b["id"]: _block(b, numbers, size, rows) for b in plan["boxes"]}
    back = {(e["to"], e["from"]): e["label"] for e in plan["edges"] if e["direction"] != "forward"}
    forward = [e for e in plan["edges"] if e["direction"] == "forward"]
    sizes: dict[Key, tuple[float, float]] = {k: b.size(rows) for k, b in blocks.items()}
    pairs = [(e["from"], e["to"]) for e in forward]
    ranks = _ranks(sizes, pairs, plan["boxes"])
    rank: dict[Key, int] = {k: 2 * r for k, r in ranks.items()}
    links: list[tuple[Key, Key]] = []
    texts: dict[Key, list[tuple[Line, str]]] = {}
    for e in forward:
        a, b = e["from"], e["to"]
        key: Key = ("label", a, b)
        texts[key] = _flow(e["shape"], back.get((a, b), ""))
        wide = max(line.width for line, _ in texts[key])
        sizes[key] = (wide + 22, 1.35 * LABEL * len(texts[key]) + 4)
        rank[key] = 2 * ranks[a] + 1
        links += [(a, key), (key, b)]
    layout = layered(sizes, links, rank, gap=13.0, apart=26.0)
    out = Drawing(
        f"The network for a batch of {size} samples" if size else "The network for a batch",
        _about(plan, back),
    )
    for (a, b), route in layout.routes.items():
        start = layout.centre[a][1] + sizes[a][1] / 2
        end = layout.centre[b][1] - sizes[b][1] / 2
        pair = a[1:] if isinstance(a, tuple) else b[1:] if isinstance(b, tuple) else ()
        returns = bool(dict[object, str](back).get(pair))
        shift = SHIFT if returns else 0.0
        into = isinstance(a, tuple)
        out.paths.append(edge(layout, route, start, end, "edge", shift=-shift, arrow=into))
        if returns:
            out.paths.append(edge(layout, route, start, end, "back", shift=shift, upwards=True,
                                  arrow=not into))  # fmt: skip
    for key, block in blocks.items():
        _draw(out, block, *layout.centre[key], rows)
    for key, lines in texts.items():
        x, y = layout.centre[key]
        y -= 1.35 * LABEL * len(lines) / 2
        for line, style in lines:
            out.write(line, x, y + LABEL, LABEL, style)
            y += 1.35 * LABEL
    _legend(out, rows, size, bool(back))
    return out


def _ranks(
    sizes: Mapping[Key, object], pairs: Sequence[tuple[str, str]], boxes: Sequence[Any]
) -> dict[Key, int]:
    """Every box below what leads to it; an input right above where it is first used."""
    ranks = longest(sizes, pairs)
    for box in boxes:
        uses = [ranks[b] for a, b in pairs if a == box["id"]]
        if box["kind"] == "input" and uses:
            ranks[box["id"]] = max(0, min(uses) - 1)
    return ranks


def _block(b: Mapping[str, Any], numbers: Collection[str], size: str, rows: bool) -> _Block:
    if b["kind"] == "hidden":
        line = words(b["label"], 17.0, bold=True)
        said = b["label"].strip("[]")
        return _Block(((line, 17.0, "red-text"),), False, "blank", "blank", f"blank number {said}")
    shape = b["shape"]
    first = (
        say.equation_line(b["label"], b["equation"], numbers, say.NAME, 380.0)
        if b["equation"]
        else say.name_line(b["label"])
    )
    lines: list[tuple[Line, float, str]] = [(first, say.NAME, "")]
    blank = bool(shape) and say.is_blank(str(shape[0]))
    said = say.shape_said(shape) if not blank else ""
    if said:
        lines.append((words(said, say.SMALL), say.SMALL, "soft"))
    for row in _parameters(b["parameters"]):
        lines.append((row, say.SMALL, "learned-text"))
    if any(p["shared"] for p in b["parameters"]) and b["partners"]:
        partners = list(b["partners"])
        others = beside(words("shared with ", say.SMALL), *_listed(partners)) if (
            len(partners) <= 3
        ) else words(f"shared with {len(partners)} boxes", say.SMALL)  # fmt: skip
        lines.append((others, say.SMALL, "learned-text"))
    batched = bool(size) and size in [str(d) for d in shape]
    loss = b["role"] == "loss"
    shown: Shape = "pill" if b["kind"] == "input" else "round"
    style = "given" if b["kind"] == "input" else "loss" if loss and not batched else "computed"
    title = f"{b['label']} = {b['equation']}" if b["equation"] else f"{b['label']}, input"
    return _Block(tuple(lines), batched and not blank, shown, style, f"{title} ({said})")


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> list[Line]:
    """`W1: 3 × 4, b1: 3 × 1`, two to a line."""
    parts = [
        beside(say.name_line(p["name"], say.SMALL),
               words(f": {say.shape_said(p['shape'])}", say.SMALL)) for p in parameters
    ]  # fmt: skip
    rows = []
    for k in range(0, len(parts), 2):
        pair = parts[k : k + 2]
        rows.append(beside(pair[0], words(",  ", say.SMALL), pair[1]) if len(pair) > 1 else pair[0])
    return rows


def _listed(names: Sequence[str]) -> list[Line]:
    out: list[Line] = []
    for k, name in enumerate(names):
        if k:
            out.append(words(", ", say.SMALL))
        out.append(say.name_line(name, say.SMALL))
    return out


def _flow(shape: Sequence[int | str], gradient: str) -> list[tuple[Line, str]]:
    """What flows along an edge: down the quantity's shape, up its gradient."""
    said = say.shape_said(shape)
    blank = bool(shape) and say.is_blank(str(shape[0]))
    down = words(f"↓ {said}", LABEL, bold=blank)
    out = [(down, "red-text" if blank else "soft")]
    if gradient:
        out.append((beside(words("↑ ", LABEL), say.derivative_line(gradient, LABEL)), "back-text"))
    return out


def _draw(out: Drawing, block: _Block, x: float, y: float, rows: bool) -> None:
    wide, high = block.size(rows)
    rect = Rect(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    out.boxes.append(Box(rect, block.shape, block.style, block.title))
    at = rect.top + PAD_Y
    for line, size, kind in block.lines:
        out.write(line, x, at + size, size, kind)
        at += 1.32 * size
    if block.strip:
        _strip(out, x, at + 4, rows)


def _strip(out: Drawing, x: float, top: float, rows: bool) -> None:
    """A small matrix whose columns (or rows) are the samples."""
    wide, high = ROWS if rows else STRIP
    left, right, bottom = x - wide / 2, x + wide / 2, top + high
    cells = (0.0, 0.18, 0.36, 0.54, 0.82, 1.0)
    lines = [[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]]
    for share in cells[1:-1]:
        if rows:
            lines.append([(left, top + share * high), (right, top + share * high)])
        else:
            lines.append([(left + share * wide, top), (left + share * wide, bottom)])
    for points in lines:
        data = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        out.marks.append(Path(data, "column", around(points)))
    for share in (0.63, 0.68, 0.73):
        a, b = (x, top + share * high) if rows else (left + share * wide, top + high / 2)
        data = f"M{a - 0.9:.1f} {b:.1f}a.9 .9 0 1 0 1.8 0a.9 .9 0 1 0 -1.8 0"
        out.marks.append(Path(data, "ink", Rect(a - 1, b - 1, a + 1, b + 1)))


def _legend(out: Drawing, rows: bool, size: str, back: bool) -> None:
    rect = out.rect
    way = "row" if rows else "column"
    said = f"Every {way} of a box is one of the {size} samples. ↓ forward" if size else "↓ forward"
    said += ", solid" + ("; ↑ the gradient back, dashed." if back else ".")
    y = rect.bottom + 12
    for row in wrapped(said, 11.0, max(rect.right - rect.left, 280.0)):
        out.write(words(row, 11.0), (rect.left + rect.right) / 2, y, 11.0, "soft")
        y += 16


def _about(plan: Mapping[str, Any], back: Mapping[tuple[str, str], str]) -> str:
    told = []
    for b in plan["boxes"]:
        equation = f" = {b['equation']}" if b["equation"] else ", an input"
        if b["kind"] == "hidden":
            told.append(f"A box left blank: number {b['label'].strip('[]')}.")
        else:
            told.append(f"{b['label']}{equation}, {say.shape_said(b['shape'])}.")
    flows = [f"{label} flows from {b} to {a}" for (a, b), label in back.items()]
    return " ".join(told) + (f" Backward: {'; '.join(flows)}." if flows else "")
