"""Plots of a run as SVG and as text: lines over epochs, and pictures with their reconstructions.

Knows series of numbers and arrays of pictures, nothing of sheets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

Array = Any
Series = Sequence[tuple[float, float]]
WIDE, HIGH = 560.0, 300.0
COLOURS = ("#3465a4", "#c4572c", "#3f8f3a", "#8a4fa8", "#a8861b", "#1c8f95", "#b53a68", "#6b6b6b")
DASHES = ("", "6 3", "2 3", "8 3 2 3")
STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#333}.g{stroke:#bbb;stroke-width:.6}"
    ".t{font-weight:600;font-size:13px}@media(prefers-color-scheme:dark){svg{background:#181818}"
    "text{fill:#ddd}.g{stroke:#555}}</style>"
)
BLOCKS = "▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"


def line_chart(
    title: str, series: Mapping[str, Series], *, logarithmic: bool = False, mark: str = "epoch"
) -> str:
    """Lines over epochs as SVG; each has its own colour, dash and name in the legend."""
    shown = {n: [(x, y) for x, y in points if math.isfinite(y) and (y > 0 or not logarithmic)]
             for n, points in series.items()}  # fmt: skip
    shown = {n: p for n, p in shown.items() if p}
    ys = [y for p in shown.values() for _, y in p]
    xs = [x for p in shown.values() for x, _ in p]
    rows = 18.0 * math.ceil(len(shown))
    total = HIGH + 78 + rows
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE + 90:g} {total:g}" '
        f'width="{WIDE + 90:g}" role="img" aria-label="{escape(_said(title, shown), quote=True)}">',
        f"<title>{escape(title)}</title>", STYLE,
        f'<text class="t" x="60" y="18">{escape(title)}'
        f"{' (logarithmic)' if logarithmic else ''}</text>",
    ]  # fmt: skip
    if not ys:
        return "\n".join([*out, '<text x="60" y="60">nothing to show</text></svg>']) + "\n"
    scale = (lambda y: math.log10(y)) if logarithmic else (lambda y: y)
    low, high = min(map(scale, ys)), max(map(scale, ys))
    if logarithmic:
        low, high = math.floor(low), math.ceil(high)
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    left, right = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1

    def at(x: float, y: float) -> tuple[float, float]:
        return (60 + WIDE * (x - left) / (right - left),
                32 + HIGH * (1 - (scale(y) - low) / (high - low)))  # fmt: skip

    for tick in _ticks(low, high, logarithmic):
        y = 32 + HIGH * (1 - (tick - low) / (high - low))
        said = _number(10**tick, 3) if logarithmic else _number(tick)
        out.append(f'<path class="g" d="M60 {y:.1f}H{60 + WIDE:g}"/>'
                   f'<text x="54" y="{y + 4:.1f}" text-anchor="end">{said}</text>')  # fmt: skip
    for tick in _ticks(left, right, False):
        x, _ = at(tick, 10**low if logarithmic else low)
        out.append(f'<text x="{x:.1f}" y="{HIGH + 48:g}" text-anchor="middle">{tick:g}</text>')
    out.append(f'<text x="{60 + WIDE / 2:g}" y="{HIGH + 64:g}" text-anchor="middle">{mark}</text>')
    for k, (name, points) in enumerate(shown.items()):
        colour = COLOURS[k % len(COLOURS)]
        # neighbours differ without their colours too
        dash = DASHES[(k + k // len(COLOURS)) % len(DASHES)]
        data = "L".join("{:.1f} {:.1f}".format(*at(x, y)) for x, y in points)
        style = f'fill="none" stroke="{colour}" stroke-width="1.7" stroke-dasharray="{dash}"'
        if len(points) == 1:
            data += "h1"
        out.append(f'<path d="M{data}" {style}><title>{escape(name)}</title></path>')
        y = HIGH + 84 + 18 * k
        out.append(
            f'<path d="M60 {y - 4:g}h26" {style}/><text x="94" y="{y:g}">'
            f"{escape(name)}: {_number(points[0][1])} → {_number(points[-1][1])}</text>"
        )
    return "\n".join([*out, "</svg>"]) + "\n"


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}".replace("-", "−")


def _said(title: str, shown: Mapping[str, Series]) -> str:
    parts = [f"{n} from {p[0][1]:.4g} to {p[-1][1]:.4g}" for n, p in shown.items()]
    return f"{title}: {'; '.join(parts)}."


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    if whole:
        step = max(1, round((high - low) / 6))
        return [float(t) for t in range(math.ceil(low), math.floor(high) + 1, step)]
    size = 10 ** math.floor(math.log10((high - low) / 4))
    size *= next(m for m in (1, 2, 5, 10) if (high - low) / (size * m) <= 6)
    first = math.ceil(low / size - 1e-9)
    last = math.floor(high / size + 1e-9)
    return [round(k * size, 12) for k in range(first, last + 1)]


def spark(values: Sequence[float], width: int = 48, logarithmic: bool = False) -> str:
    """A line of blocks: the values over time, the least as the lowest block."""
    finite = [v for v in values if math.isfinite(v) and (v > 0 or not logarithmic)]
    if not finite:
        return ""
    if logarithmic:
        finite = [math.log(v) for v in finite]
    if len(finite) > width:
        edges = np.linspace(0, len(finite), width + 1).astype(int)
        finite = [float(np.mean(finite[a:b])) for a, b in itertools.pairwise(edges)]
    low, high = min(finite), max(finite)
    span = (high - low) or 1.0
    return "".join(BLOCKS[min(7, int(8 * (v - low) / span))] for v in finite)


def pictures_svg(title: str, rows: Sequence[tuple[str, Array]], shape: tuple[int, int]) -> str:
    """Rows of pictures, each row with a name, as SVG of grey squares."""
    cell = 6.0
    high, wide = shape
    many = max(len(a) for _, a in rows)
    step_x, step_y = wide * cell + 8, high * cell + 10
    width, total = 110 + many * step_x, 34 + len(rows) * step_y
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {total:g}" '
        f'width="{width:g}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>", STYLE,
        f'<text class="t" x="4" y="18">{escape(title)}</text>',
    ]  # fmt: skip
    for r, (name, pictures) in enumerate(rows):
        top = 30 + r * step_y
        out.append(f'<text x="4" y="{top + step_y / 2:g}">{escape(name)}</text>')
        for k, picture in enumerate(pictures):
            left = 110 + k * step_x
            grey = np.clip(np.round(255 * (1 - _unit(picture))), 0, 255).astype(int)
            for i, j in np.ndindex(high, wide):
                g = grey.reshape(shape)[i, j]
                out.append(f'<rect x="{left + j * cell:g}" y="{top + i * cell:g}" width="{cell:g}" '
                           f'height="{cell:g}" fill="#{g:02x}{g:02x}{g:02x}"/>')  # fmt: skip
    return "\n".join([*out, "</svg>"]) + "\n"


def _unit(picture: Array) -> Array:
    return np.clip(np.asarray(picture, float), 0, 1)


def pictures_text(rows: Sequence[tuple[str, Array]], shape: tuple[int, int]) -> str:
    """The same in five shades of characters, two characters a point."""
    out: list[str] = []
    high, _ = shape
    for name, pictures in rows:
        out.append(f"{name}:")
        for i in range(high):
            line = "  ".join(
                "".join(2 * SHADES[round(4 * v)] for v in _unit(p).reshape(shape)[i])
                for p in pictures
            )
            out.append("  " + line.rstrip())
    return "\n".join(out) + "\n"
