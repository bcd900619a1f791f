"""Pages, prints and drawings of a working: `python -m benchmarks pages`.

Every example is worked afresh, as the live page works it after an edit of an equation, in this
process and in CPU time; the whole exam is worked and written; a network that repeats nothing is
drawn.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from statistics import median
from typing import Any

from backproof.calculus.model import build_model
from backproof.errors import Source
from backproof.language.sheet import parse_sheet
from backproof.render.drawings.choose import drawings
from backproof.render.html import page
from backproof.web import warm as warm  # works a small sheet once, and sets one thread
from backproof.web.desk import Desk
from backproof.web.limits import Limits
from backproof.working.answer import answer_question
from backproof.working.report import work_file
from benchmarks.timing import Row, medians

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.sheet"))
RUNS = 5
LAYERS = 500  # two nodes each


def afresh() -> list[Row]:
    """CPU seconds of a full answer, nothing of it known before; without and with mended claims."""
    desk = Desk(Limits())
    for file in EXAMPLES:
        _worked(desk, file.read_text(encoding="utf-8"))
    judged, whole = {}, {}
    for file in EXAMPLES:
        text = file.read_text(encoding="utf-8").rstrip()
        taken = [_worked(desk, f"{text}\nown = {k}\n") for k in range(RUNS)]
        judged[file.stem] = median(t for t, _ in taken)
        whole[file.stem] = median(t for _, t in taken)
    slowest = max(judged, key=judged.__getitem__)
    latest = max(whole, key=whole.__getitem__)
    return [
        Row(f"CPU of answers and verdicts, slowest example ({slowest})", judged[slowest], 0.25),
        Row(f"  median of {len(judged)} examples", median(judged.values())),
        Row(f"  with what would mend refuted claims, slowest ({latest})", whole[latest]),
    ]


def _worked(desk: Desk, text: str) -> tuple[float, float]:
    """CPU seconds to the last answer and first verdict, and to the end."""
    seen, last = set[int](), [time.process_time()]
    start = last[0]

    def say(event: dict[str, Any]) -> None:
        again = event["kind"] == "verdict" and event["index"] in seen
        if event["kind"] == "verdict":
            seen.add(event["index"])
        if not again:
            last[0] = time.process_time()

    desk.forget()
    desk.work({"do": "work", "text": text, "view": "working"}, say, lambda: None)
    return last[0] - start, time.process_time() - start


def written() -> list[Row]:
    """The whole exam: worked, and written as a page and as a print."""
    exam = ROOT / "examples" / "exam.md"
    report = work_file(exam)
    tasks = [lambda: page(report), lambda: page(work_file(exam))]
    rendered, worked = medians(tasks, 3)
    rows = [
        Row("exam as HTML, once it is worked", rendered, 1.0),
        Row("exam worked and written as HTML, warm", worked),
    ]
    try:
        from backproof.render.typst import pdf

        pdf(report)
    except ImportError as error:
        print(f"The PDF was not timed: {error}")
        return rows
    (printed,) = medians([lambda: pdf(report)], 3)
    return [*rows, Row("exam as PDF, once it is worked", printed, 3.0)]


def irregular(layers: int) -> str:
    """A network in which no layer is like the one before, so that nothing is collapsed."""
    rng = random.Random(5)
    lines = ["given x in R[3]", "h1 = tanh(x)"]
    for k in range(2, layers + 1):
        function = rng.choice(("tanh", "sigmoid", "relu", "softplus", "sin"))
        back = rng.randrange(max(1, k - 4), k)
        lines.append(f"learn W{k} in R[3, 3]")
        lines.append(f"h{k} = {function}(W{k} @ h{k - 1} + {k}*h{back})")
    return "\n".join([*lines, f"L = sumsq(h{layers})"]) + "\n"


def drawn() -> list[Row]:
    """The tree of a large network: worked out and drawn."""
    sheet = parse_sheet(Source("large.sheet", irregular(LAYERS)))

    def draw() -> Any:
        working = answer_question(build_model(sheet), "tree L")
        return working, list(drawings(working))

    working, _ = draw()
    nodes = len(working.data["nodes"])
    (taken,) = medians([draw], 3)
    return [Row(f"tree of {nodes} nodes, none alike, worked out and drawn", taken, 1.0)]


def rows() -> list[Row]:
    """The figures as lines of the table."""
    return [*afresh(), *written(), *drawn()]
