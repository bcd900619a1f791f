"""Edges of a layered layout as curves: vertical through the ranks, bent only in the gaps."""

from __future__ import annotations

from collections.abc import Sequence

from backproof.render.drawings.canvas import Path, Rect
from backproof.render.drawings.layers import Layout


def edge(
    layout: Layout,
    route: Sequence[tuple[float, int]],
    start: float,
    end: float,
    style: str,
    *,
    shift: float = 0.0,
    upwards: bool = False,
    arrow: bool = False,
) -> Path:
    """The curve along a route from height *start* down to *end*.

    shift     how far it runs beside the middle
    upwards   drawn from its lower end to its upper, for an arrow there
    """
    points = _points(layout, route, start, end)
    points = [(x + shift, y) for x, y in points]
    if upwards:
        points.reverse()
    return Path(_data(points), style, around(points), arrow)


def _points(
    layout: Layout, route: Sequence[tuple[float, int]], start: float, end: float
) -> list[tuple[float, float]]:
    points = [(route[0][0], start)]
    for k, (x, rank) in enumerate(route):
        top, bottom = layout.bands[rank]
        if k:
            points.append((x, top))
        if k < len(route) - 1:
            points.append((x, bottom))
    points.append((route[-1][0], end))
    kept = points[:1]
    for x, y in points[1:]:
        if abs(y - kept[-1][1]) > 0.1:
            kept.append((x, y))
    return kept


def _data(points: Sequence[tuple[float, float]]) -> str:
    x, y = points[0]
    out = [f"M{x:.1f} {y:.1f}"]
    for k, (a, b) in enumerate(points[1:], 1):
        straight = abs(a - x) < 0.05
        if straight and k + 1 < len(points) and abs(points[k + 1][0] - x) < 0.05:
            continue
        if straight:
            out.append(f"V{b:.1f}")
        else:
            middle = (y + b) / 2
            out.append(f"C{x:.1f} {middle:.1f} {a:.1f} {middle:.1f} {a:.1f} {b:.1f}")
        x, y = a, b
    return "".join(out)


def around(points: Sequence[tuple[float, float]]) -> Rect:
    """The box around points."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Rect(min(xs), min(ys), max(xs), max(ys))


def unshared(
    route: Sequence[tuple[float, int]], seen: set[tuple[tuple[float, int], tuple[float, int]]]
) -> list[tuple[float, int]]:
    """The route up to where another one has gone before; the rest is that one's."""
    for k in range(1, len(route)):
        part = (route[k - 1], route[k])
        if part in seen:
            return list(route[:k])
        seen.add(part)
    return list(route)
