"""Which drawing belongs to a working: by what its data holds. Several answers, several drawings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from backproof.render.drawings.canvas import Drawing
from backproof.render.drawings.plots import slow_drawing, weights_drawing
from backproof.render.drawings.schematic import schematic_drawing
from backproof.render.drawings.tree import edge_labels, tree_drawing
from backproof.working.steps import Step, Working

MOST_NODES = 4000
MOST_LABELLED = 60  # nodes of a gradient's part of the tree


def drawings(working: Working, beside: Iterable[Working] = ()) -> list[Drawing]:
    """The drawings of a working.

    beside   other answers about the same sheet: their local derivatives label the edges of a tree
    """
    others = list(beside)
    labels = edge_labels(_steps((working, *others)))
    if "graph" in working.data and any("nodes" in w.data for w in others):
        return []  # the tree beside it shows the derivatives on its edges
    parts = working.data.get("parts") or (working.data,)
    return [found for part in parts if (found := _one(part, labels)) is not None]


def _one(data: Mapping[str, Any], labels: dict[tuple[str, str], tuple[str, Any]]) -> Drawing | None:
    if "nodes" in data and "edges" in data and len(data["nodes"]) <= MOST_NODES:
        return tree_drawing(data, labels)
    if "graph" in data:
        graph = data["graph"]
        edges = {(e["from"], e["to"]) for e in graph["edges"]}
        few = len(graph["nodes"]) <= MOST_LABELLED
        return tree_drawing(graph, labels) if few and not edges.isdisjoint(labels) else None
    if "schematic" in data:
        return schematic_drawing(data)
    if "wrt" in data and "paths" in data:
        return slow_drawing(data)
    if "losses" in data and isinstance(data["losses"], list):
        return weights_drawing(data)
    return None


def _steps(workings: Iterable[Working]) -> Iterable[Step]:
    for working in workings:
        yield from working.steps
        yield Step("", "", kind="heading")


def as_svg(found: list[Drawing]) -> str:
    """Drawings below one another as one SVG; "" for none."""
    if len(found) < 2:
        return found[0].svg() if found else ""
    parts, y, wide = [], 0.0, 0.0
    for k, drawing in enumerate(found):
        rect = drawing.rect
        inner = drawing.svg("alone", f"d{k}").replace("<svg ", f'<svg y="{y:.1f}" ', 1)
        parts.append(inner)
        y += rect.bottom - rect.top
        wide = max(wide, rect.right - rect.left)
    titles = escape("; ".join(d.title for d in found))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{wide:.1f}" '
        f'height="{y:.1f}" viewBox="0 0 {wide:.1f} {y:.1f}"><title>{titles}</title>'
        f"{''.join(parts)}</svg>"
    )
