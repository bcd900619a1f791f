"""Which drawing belongs to a working: by what its data holds. Several answers, several drawings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backproof.render.drawings.canvas import Drawing
from backproof.render.drawings.plots import slow_drawing, weights_drawing
from backproof.render.drawings.schematic import schematic_drawing
from backproof.render.drawings.tree import edge_labels, tree_drawing
from backproof.working.steps import Step, Working

MOST_NODES = 4000


def drawings(working: Working, beside: Iterable[Working] = ()) -> list[Drawing]:
    """The drawings of a working.

    beside   other answers about the same sheet: their local derivatives label the edges of a tree
    """
    labels = edge_labels(_steps((working, *beside)))
    parts = working.data.get("parts") or (working.data,)
    return [found for part in parts if (found := _one(part, labels)) is not None]


def _one(data: Mapping[str, Any], labels: dict[tuple[str, str], tuple[str, Any]]) -> Drawing | None:
    if "nodes" in data and "edges" in data and len(data["nodes"]) <= MOST_NODES:
        return tree_drawing(data, labels)
    if "graph" in data and len(data["graph"]["nodes"]) <= MOST_NODES:
        return tree_drawing(data["graph"], labels)
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
