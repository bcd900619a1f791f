"""A drawing as data: boxes, lines and texts with their places; and the SVG of it.

Colours are CSS variables in a page, which has a light and a dark set; a drawing that stands alone
brings both sets, and one for print the light one. Every text knows the box it takes, so that a
test can see that none overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

from backproof.render.drawings.line import Line
from backproof.render.drawings.metrics import ABOVE, HEIGHT, text_width

Shape = Literal["round", "sharp", "pill", "stack", "blank", "plain", "band"]
MARGIN = 14.0
WIDE = 520.0


@dataclass(frozen=True, slots=True)
class Rect:
    """left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Rect, by: float = 0.01) -> bool:
        return (
            self.left + by < other.right
            and other.left + by < self.right
            and self.top + by < other.bottom
            and other.top + by < self.bottom
        )

    def holds(self, other: Rect, by: float = 0.01) -> bool:
        return (
            self.left <= other.left + by
            and self.top <= other.top + by
            and other.right <= self.right + by
            and other.bottom <= self.bottom + by
        )


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its shape says what it is (round computed, sharp learned, pill given)."""

    rect: Rect
    shape: Shape
    style: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; x, y is where its first baseline begins."""

    line: Line
    x: float
    y: float
    size: float
    style: str = ""

    @property
    def rect(self) -> Rect:
        high = max((-run.y + ABOVE * run.size for run in self.line.runs), default=0.0)
        low = max((run.y + (HEIGHT - ABOVE) * run.size for run in self.line.runs), default=0.0)
        return Rect(self.x, self.y - high, self.x + self.line.width, self.y + low)


@dataclass(frozen=True, slots=True)
class Path:
    """A line or a filled area: SVG path data, its style, and the box around it."""

    data: str
    style: str
    rect: Rect
    arrow: bool = False


@dataclass
class Drawing:
    """Everything drawn, in the order it is painted.

    title, about   what a screen reader says first, and all that the drawing shows in words
    """

    title: str
    about: str
    boxes: list[Box] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    marks: list[Path] = field(default_factory=list)  # painted over the boxes

    def write(
        self, line: Line, x: float, y: float, size: float, style: str = "", at: str = "middle"
    ) -> Text:
        """Puts a line of text: x is its middle, its left end ("start") or its right ("end")."""
        left = x - line.width * {"start": 0.0, "middle": 0.5, "end": 1.0}[at]
        text = Text(line, left, y, size, style)
        self.texts.append(text)
        return text

    @property
    def rect(self) -> Rect:
        """The box around everything, with a margin."""
        rects = [b.rect for b in self.boxes] + [t.rect for t in self.texts]
        rects += [p.rect for p in (*self.paths, *self.marks)]
        rects = rects or [Rect(0, 0, 1, 1)]
        return Rect(
            min(r.left for r in rects) - MARGIN, min(r.top for r in rects) - MARGIN,
            max(r.right for r in rects) + MARGIN, max(r.bottom for r in rects) + MARGIN,
        )  # fmt: skip

    def svg(self, theme: Literal["page", "alone", "print"] = "alone", name: str = "d") -> str:
        """The drawing as SVG; *name* makes its ids its own where several share a page."""
        rect = self.rect
        wide, high = rect.right - rect.left, rect.bottom - rect.top
        # A wider one is scrolled on a phone; its text would be too small to read otherwise.
        kind = "bp-drawing bp-wide" if wide > WIDE else "bp-drawing"
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" role="img" '
            f'aria-labelledby="{name}-t {name}-d" '
            f'viewBox="{_n(rect.left)} {_n(rect.top)} {_n(wide)} {_n(high)}" '
            f'width="{_n(wide)}" height="{_n(high)}">',
            f'<title id="{name}-t">{escape(self.title)}</title>',
            f'<desc id="{name}-d">{escape(self.about)}</desc>',
        ]
        if theme != "page":
            parts.append(f"<style>{ALONE if theme == 'alone' else PRINT}</style>")
        if theme == "alone":
            parts.append(
                f'<rect class="bp-paper" x="{_n(rect.left)}" y="{_n(rect.top)}" '
                f'width="{_n(wide)}" height="{_n(high)}"/>'
            )
        if any(p.arrow for p in (*self.paths, *self.marks)):
            parts.append(_arrowheads(name))
        parts += [_path(p, name) for p in self.paths]
        parts += [_box(b) for b in self.boxes]
        parts += [_path(p, name) for p in self.marks]
        parts += [_text(t) for t in self.texts]
        return "".join([*parts, "</svg>"])


def _arrowheads(name: str) -> str:
    marker = (
        '<marker id="{0}-{1}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto" markerUnits="userSpaceOnUse">'
        '<path class="bp-head-{1}" d="M0 0.8 L8 4 L0 7.2 z"/></marker>'
    )
    return f"<defs>{''.join(marker.format(name, s) for s in ('edge', 'back'))}</defs>"


def _n(value: float) -> str:
    """A coordinate in few digits."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def _path(path: Path, name: str) -> str:
    head = "back" if "back" in path.style else "edge"
    arrow = f' marker-end="url(#{name}-{head})"' if path.arrow else ""
    return f'<path class="bp-{path.style}" d="{path.data}"{arrow}/>'


def _box(box: Box) -> str:
    r = box.rect
    wide, high = r.right - r.left, r.bottom - r.top
    place = f'x="{_n(r.left)}" y="{_n(r.top)}" width="{_n(wide)}" height="{_n(high)}"'
    round_ = {"round": 7.0, "pill": high / 2, "band": 10.0}.get(box.shape, 0.0)
    corner = f' rx="{_n(round_)}"' if round_ else ""
    body = f'<rect class="bp-box bp-{box.style}" {place}{corner}/>'
    if box.shape == "sharp":  # a double frame
        body += (
            f'<rect class="bp-inner bp-{box.style}" x="{_n(r.left + 3)}" y="{_n(r.top + 3)}" '
            f'width="{_n(wide - 6)}" height="{_n(high - 6)}"/>'
        )
    if box.shape == "stack":  # two more behind
        behind = "".join(
            f'<rect class="bp-box bp-{box.style}" x="{_n(r.left + d)}" y="{_n(r.top - d)}" '
            f'width="{_n(wide)}" height="{_n(high)}" rx="7"/>'
            for d in (6, 3)
        )
        body = behind + body.replace(place, f'{place} rx="7"')
    title = f"<title>{escape(box.title)}</title>" if box.title else ""
    return f"<g>{title}{body}</g>" if title or box.shape != "round" else body


def _text(text: Text) -> str:
    out = []
    for run in text.line.runs:
        if not run.text:
            continue
        style = ' font-style="italic"' if run.italic else ""
        style += ' font-weight="bold"' if run.bold else ""
        size = f' font-size="{_n(run.size)}"' if abs(run.size - text.size) > 0.05 else ""
        out.append(
            f'<tspan x="{_n(text.x + run.x)}" y="{_n(text.y + run.y)}"{size}{style}>'
            f"{escape(run.text, quote=False)}</tspan>"
        )
    kind = f"bp-text bp-{text.style}" if text.style else "bp-text"
    size = _n(text.size)
    inner = "".join(out)
    return f'<text class="{kind}" font-size="{size}" xml:space="preserve">{inner}</text>'


def stacked(lines: Sequence[tuple[Line, float]], gap: float = 4.0) -> float:
    """How high lines of these sizes are below one another."""
    return sum(size * 1.15 for _, size in lines) + gap * max(0, len(lines) - 1)


def wrapped(text: str, size: float, most: float) -> list[str]:
    """Words in lines no wider than *most*."""
    rows: list[str] = []
    for word in text.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and text_width(longer, size) <= most:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows


# --- colours -------------------------------------------------------------------------------------

LIGHT = {
    "ink": "#1d1d1f", "soft": "#5c5c63", "paper": "#ffffff", "line": "#5c5c63",
    "fill": "#f6f6f4", "learned": "#0b5cad", "learned-fill": "#e8f1fb", "given": "#5c5c63",
    "given-fill": "#ffffff", "back": "#9c4a00", "red": "#b3261e", "red-fill": "#fdeceb",
    "green": "#1d6b34", "value": "#0b6b7a", "grid": "#dcdcdc",
}  # fmt: skip
DARK = {
    "ink": "#ececec", "soft": "#b0b0b6", "paper": "#17181b", "line": "#a6a6ad",
    "fill": "#24262b", "learned": "#8ec2ff", "learned-fill": "#162a42", "given": "#b0b0b6",
    "given-fill": "#17181b", "back": "#f0a860", "red": "#ff8a80", "red-fill": "#3d1a18",
    "green": "#7ddb95", "value": "#6fd3e3", "grid": "#3a3c42",
}  # fmt: skip
RULES = """
.bp-text{fill:var(--ink);font-family:"DejaVu Sans","Segoe UI",Roboto,Helvetica,Arial,sans-serif}
.bp-soft{fill:var(--soft)}.bp-learned-text{fill:var(--learned)}.bp-back-text{fill:var(--back)}
.bp-red-text{fill:var(--red);font-weight:bold}
.bp-paper{fill:var(--paper)}
.bp-box{fill:var(--fill);stroke:var(--line);stroke-width:1.2}
.bp-box.bp-learned{fill:var(--learned-fill);stroke:var(--learned)}
.bp-inner{fill:none;stroke:var(--learned);stroke-width:.8}
.bp-box.bp-given{fill:var(--given-fill);stroke:var(--given)}
.bp-box.bp-loss{stroke:var(--ink);stroke-width:2.4}
.bp-box.bp-blank{fill:var(--red-fill);stroke:var(--red);stroke-width:1.8;stroke-dasharray:5 3}
.bp-box.bp-none{fill:none;stroke:none}
.bp-box.bp-band{fill:none;stroke:var(--soft);stroke-dasharray:2 4}
.bp-edge{fill:none;stroke:var(--line);stroke-width:1.2}
.bp-edge-learned{fill:none;stroke:var(--learned);stroke-width:1.3}
.bp-back{fill:none;stroke:var(--back);stroke-width:1.2;stroke-dasharray:4 3}
.bp-head-edge{fill:var(--line)}.bp-head-back{fill:var(--back)}
.bp-grid{fill:none;stroke:var(--grid);stroke-width:1}
.bp-axis{fill:none;stroke:var(--soft);stroke-width:1.2}
.bp-curve{fill:none;stroke:var(--learned);stroke-width:2.2}
.bp-dashed{fill:none;stroke:var(--soft);stroke-width:1.6;stroke-dasharray:6 4}
.bp-bar{fill:var(--learned);stroke:none}.bp-dot{fill:var(--back);stroke:none}.bp-ink{fill:var(--line);stroke:none}
.bp-column{fill:none;stroke:var(--line);stroke-width:.8}
""".replace("\n", "")


def colours(table: dict[str, str]) -> str:
    """A set of colours as CSS variables."""
    return ";".join(f"--{name}:{value}" for name, value in table.items())


ALONE = (
    f".bp-drawing{{{colours(LIGHT)}}}@media(prefers-color-scheme:dark){{.bp-drawing{{{colours(DARK)}}}}}"
    f"{RULES}"
)


def _fixed(rules: str, table: dict[str, str]) -> str:
    for name, value in sorted(table.items(), key=lambda item: -len(item[0])):
        rules = rules.replace(f"var(--{name})", value)
    return rules


PRINT = _fixed(RULES, LIGHT)
