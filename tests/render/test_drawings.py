"""Drawings: no text overlaps, nothing is clipped, everything is named; and large ones are quick."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from tests.strategies import Network, networks

import backproof as bp
from backproof.render.drawings.canvas import Drawing, Rect
from backproof.render.drawings.choose import as_svg, drawings
from backproof.render.drawings.layers import layered
from backproof.render.drawings.tree import edge_labels, tree_drawing
from backproof.working.report import work_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SVG = "{http://www.w3.org/2000/svg}"

DEEP = "\n".join(
    [
        "given x in R[4]", "given y in R[4]",
        *(
            f"learn W{k} in R[4, 4]\nz{k} = W{k} @ {f'a{k - 1}' if k > 1 else 'x'}\n"
            f"a{k} = tanh(z{k})"
            for k in range(1, 9)
        ),
        "L = sse(a8, y)",
    ]
)  # fmt: skip
NUMBERS = """
given x = [1, 2]
given y = [0, 1]
learn W1 = [[0.5, -1], [2, 1]]
learn W2 = [[0.5, -1], [2, 1]]
z1 = W1 @ x
a1 = sigmoid(z1)
z2 = W2 @ a1
a2 = sigmoid(z2)
L = sse(a2, y)
"""


def faults(drawing: Drawing) -> list[str]:
    """Texts over texts or over a frame, boxes over boxes, and things that are clipped."""
    found = []
    frame = drawing.rect
    for n, text in enumerate(drawing.texts):
        if not frame.holds(text.rect):
            found.append(f"clipped: {text.line.text}")
        for other in drawing.texts[n + 1 :]:
            if text.rect.overlaps(other.rect, 0.5):
                found.append(f"texts: {text.line.text} | {other.line.text}")
        for box in drawing.boxes:
            if box.rect.overlaps(text.rect, 0.5) and not box.rect.holds(text.rect):
                found.append(f"text over a frame: {text.line.text} | {box.title}")
    for n, box in enumerate(drawing.boxes):
        if not frame.holds(box.rect):
            found.append(f"clipped: {box.title}")
        for other_box in drawing.boxes[n + 1 :]:
            if box.rect.overlaps(other_box.rect):
                found.append(f"boxes: {box.title} | {other_box.title}")
    for path in (*drawing.paths, *drawing.marks):
        if not frame.holds(path.rect):
            found.append(f"clipped: {path.style}")
    return found


def well_named(drawing: Drawing) -> None:
    root = ElementTree.fromstring(drawing.svg())
    assert root.tag == f"{SVG}svg"
    first, second = list(root)[:2]
    assert (first.tag, second.tag) == (f"{SVG}title", f"{SVG}desc")
    assert first.text and second.text
    labelled = root.attrib["aria-labelledby"].split()
    assert labelled == [first.attrib["id"], second.attrib["id"]]


def of_examples() -> Iterator[tuple[str, Drawing]]:
    for path in [*sorted(EXAMPLES.glob("*.sheet")), EXAMPLES / "exam.md"]:
        if path.stem == "q06-as-printed":
            continue
        for sheet in work_file(path).sheets:
            for working in sheet.asks:
                others = [w for w in sheet.asks if w is not working]
                for drawing in drawings(working, others):
                    yield f"{path.stem}: {working.ask}", drawing


def of_asks() -> Iterator[tuple[str, Drawing]]:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    gradient = siamese.gradient("L", "W1").working
    asked = [
        siamese.tree(), siamese.batch("m"), siamese.batch("m", rows=True),
        siamese.ask("batch m blank A1, shape(Z2)"), siamese.ask("tree L blank a1"),
        siamese.gradient("L", "W1"), bp.Sheet(DEEP).tree(), bp.Sheet(NUMBERS).slow("W1"),
        bp.Sheet(DEEP).slow("W1"), bp.read(EXAMPLES / "q05-missed-patient.sheet").weights(),
    ]  # fmt: skip
    for answer in asked:
        for drawing in drawings(answer.working, [gradient]):
            yield answer.asked, drawing


def test_nothing_overlaps_in_the_examples() -> None:
    shown = list(of_examples())
    assert len(shown) >= 8
    for name, drawing in shown:
        assert faults(drawing) == [], name
        well_named(drawing)


def test_nothing_overlaps_in_any_kind_of_drawing() -> None:
    shown = list(of_asks())
    assert len(shown) >= 9
    for name, drawing in shown:
        assert faults(drawing) == [], name
        well_named(drawing)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_nothing_overlaps_in_random_networks(network: Network) -> None:
    sheet = bp.Sheet(network.text)
    for drawing in drawings(sheet.tree("L").working):
        assert faults(drawing) == []


def test_edges_pass_no_box() -> None:
    drawing = tree_drawing(random_graph(40))
    for box in drawing.boxes:
        inner = Rect(box.rect.left + 1, box.rect.top + 1, box.rect.right - 1, box.rect.bottom - 1)
        for path in drawing.paths:
            for x, top, bottom in verticals(path.data):
                assert not inner.overlaps(Rect(x - 0.1, top, x + 0.1, bottom)), box.title


def verticals(data: str) -> Iterator[tuple[float, float, float]]:
    """The straight parts of an edge: (x, top, bottom)."""
    import re

    x = y = 0.0
    for command, numbers in re.findall(r"([MVC])([^MVC]*)", data):
        values = [float(n) for n in numbers.split()]
        if command == "V":
            yield x, min(y, values[0]), max(y, values[0])
            y = values[0]
        else:
            x, y = values[-2:]


def test_a_shared_parameter_is_drawn_once_with_all_its_edges() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    (drawing,) = drawings(siamese.tree().working)
    titles = [box.title for box in drawing.boxes if box.title.startswith("W1 ")]
    assert titles == ["W1 (3 × 4), learned"]
    assert "zA1, intermediate, 3 × 1 uses W1, xA, b1." in drawing.about
    assert "zB1, intermediate, 3 × 1 uses W1, xB, b1." in drawing.about


def test_what_is_passed_on_has_no_name_of_the_sheets() -> None:
    sheet = bp.Sheet("given x in R[3]\nlearn W in R[2, 3]\nv = tanh(W @ x)\nL = sumsq(v)")
    right, shape = edge_labels(sheet.gradient("L", "W").steps)["v", "W"]
    assert shape == (2, 3, 2)
    passed, _, does = right.partition(r" \mapsto ")
    assert passed == "g"  # v is taken
    assert "g" in does


def test_roles_differ_by_shape() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    (drawing,) = drawings(siamese.tree().working)
    shapes = {box.title.split()[0]: box.shape for box in drawing.boxes if box.title}
    assert shapes["xA"] == "pill"
    assert shapes["W1"] == "sharp"
    assert shapes["zA1"] == "round"


def test_edges_are_labelled_with_local_derivatives() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    labels = edge_labels(siamese.gradient("L", "W1").steps)
    assert labels["a1", "aB1"] == ("-I", (3, 3))
    assert labels["zA1", "W1"] == (r"v \mapsto v\, x_{A}^{\top}", (3, 4, 3))
    assert ("L", "z2") not in labels
    (drawing,) = drawings(siamese.tree().working, [siamese.gradient("L", "W1").working])
    said = {text.line.text.strip() for text in drawing.texts}
    assert "−I" in said
    assert "3 × 4 × 3" in said


def test_repeats_are_collapsed() -> None:
    (drawing,) = drawings(bp.Sheet(DEEP).tree().working)
    stacks = [box for box in drawing.boxes if box.shape == "stack"]
    assert len(stacks) == 1
    assert stacks[0].title.startswith("×8")
    assert len(drawing.boxes) < 14


def test_blanks_are_numbered_red_boxes() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    (drawing,) = drawings(siamese.ask("batch m blank A1, shape(Z2)").working)
    blanks = [box for box in drawing.boxes if box.shape == "blank"]
    assert len(blanks) == 1
    red = [text.line.text for text in drawing.texts if text.style == "red-text"]
    assert red == ["[1]", "↓ [2]"]
    inside = [text.line.text for text in drawing.texts if "W[2]" in text.line.text]
    assert any(text.endswith("[1] + b[2]") for text in inside)  # not A1, not a 1 × 1 matrix


def test_an_edge_says_the_name_of_what_does_not_fit_on_it() -> None:
    sheet = bp.Sheet(
        "given x in R[2]\nlearn W1 in R[2, 2]\nz1 = W1 @ x\na1 = sigmoid(z1)\nL = sumsq(a1)\n"
        "D1 = diag(sigmoid(z1)*(1 - sigmoid(z1)))\n"
    )
    (drawing,) = drawings(sheet.gradient("L", "W1").working)
    said = [text.line.text.strip() for text in drawing.texts]
    assert "D[1]" in said and not any("…" in text for text in said)


def test_only_a_wide_drawing_is_scrolled() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    (narrow,) = drawings(siamese.gradient("L", "W1").working)
    assert 'class="bp-drawing"' in narrow.svg()
    sheet = "\n".join([*(f"learn w{k} in R" for k in range(12)),
                       "L = " + " + ".join(f"w{k}" for k in range(12))])  # fmt: skip
    (wide,) = drawings(bp.Sheet(sheet).tree("L").working)
    assert 'class="bp-drawing bp-wide"' in wide.svg()


def test_a_batch_shows_samples_and_both_ways() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    (drawing,) = drawings(siamese.batch("m").working)
    assert sum(path.style == "column" for path in drawing.marks) > 20
    assert {path.style for path in drawing.paths} == {"edge", "back"}
    twins = [box.rect for box in drawing.boxes if box.title.startswith(("AA1 ", "AB1 "))]
    assert twins[0].top == twins[1].top


def random_graph(layers: int) -> dict[str, Any]:
    rng = random.Random(5)
    nodes = [{"name": "L", "role": "intermediate", "shape": [], "equation": "a0"}]
    edges = [{"from": "L", "to": "a0"}]
    for k in range(layers):
        nodes.append({"name": f"a{k}", "role": "intermediate", "shape": [3], "equation": "x + 1"})
        nodes.append({"name": f"W{k}", "role": "learned", "shape": [3, 3], "equation": None})
        edges.append({"from": f"a{k}", "to": f"W{k}"})
        if k:
            edges.append({"from": f"a{rng.randrange(max(0, k - 5), k)}", "to": f"a{k}"})
        if k % 7 == 0:
            edges.append({"from": f"a{k}", "to": "S"})
    nodes.append({"name": "S", "role": "learned", "shape": [3], "equation": None})
    return {"root": "L", "nodes": nodes, "edges": edges, "repeats": []}


def test_a_thousand_nodes_are_quick() -> None:
    data = random_graph(500)
    started = time.perf_counter()
    drawing = tree_drawing(data)
    svg = drawing.svg()
    assert time.perf_counter() - started < 1.0 * 4  # four times the bound, for slow machines
    assert len(drawing.boxes) >= 1000
    assert svg.count("<text") >= 1000


def test_layers_keep_their_distance() -> None:
    sizes = {k: (10.0 * (k % 5 + 1), 20.0) for k in range(30)}
    edges = [(a, b) for a in range(30) for b in range(a + 1, 30) if (a * b) % 7 == 1]
    layout = layered(sizes, edges)
    rows: dict[int, list[int]] = {}
    for k, rank in layout.rank.items():
        rows.setdefault(rank, []).append(k)  # type: ignore[arg-type]
    for row in rows.values():
        row.sort(key=lambda k: layout.centre[k][0])
        for a, b in itertools.pairwise(row):
            between = layout.centre[b][0] - layout.centre[a][0]
            assert between >= (sizes[a][0] + sizes[b][0]) / 2 + 21.9


def test_svg_of_an_answer() -> None:
    siamese = bp.read(EXAMPLES / "siamese.sheet")
    svg = siamese.tree().svg()
    assert "prefers-color-scheme:dark" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert ElementTree.fromstring(svg).tag == f"{SVG}svg"
    with pytest.raises(bp.NotAvailable, match="no drawing"):
        siamese.shapes().svg()
    both = as_svg([*drawings(siamese.tree().working), *drawings(siamese.batch("m").working)])
    assert len(ElementTree.fromstring(both).findall(f"{SVG}svg")) == 2
