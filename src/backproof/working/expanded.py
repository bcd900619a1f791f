"""The lines of a loss that is written out: per sample or entry with the numbers, then joined.

Which lines a loss has stands in the table of `calculus.expand`; here they only become steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from backproof.calculus.expand import Line, map_names
from backproof.calculus.latex import latex_name
from backproof.calculus.recompute import recompute
from backproof.calculus.values import SheetValues, nested, show_number
from backproof.language import syntax as ast
from backproof.working.entries import Place, writable
from backproof.working.putin import brief, put_in, unbracketed, value_of
from backproof.working.spelled import line_latex
from backproof.working.steps import Step, Verified
from backproof.working.writing import latex_of, step_shape, written

Array = Any
MOST_SAMPLES = 8
RECOMPUTED = Verified("recomputed in double precision", 1, 0)


def expanded_steps(values: SheetValues, lines: tuple[Line, ...]) -> Iterator[Step]:
    """The steps of a loss that is written out, a level deeper than its equation."""
    for line in lines:
        yield _title(values, line)
        yield from _FORMS[line.per](values, line)


def verified(values: SheetValues, name: str, what: str) -> Verified | None:
    """How the value of an equation or of a line was checked."""
    node = values.definition(name)
    if node is None or name not in values.raw:
        return None
    return RECOMPUTED if recompute(values, what, node, values.raw[name]) else None


def readable(values: SheetValues, expr: ast.Expr) -> ast.Expr:
    """The expression without the made-up names of lines: a computed argument stands as it is
    written, any other line as the word for it."""
    lines = {line.name: line for e in values.expansions.values() for line in e.lines}

    def change(name: ast.Name) -> ast.Expr:
        line = lines.get(name.id)
        if line is None:
            return name
        if line.per == "argument":
            return readable(values, line.expr)
        return ast.Name(_key(line))

    return map_names(expr, change)


def _key(line: Line) -> str:
    return line.name.rpartition(" · ")[2]


def _title(values: SheetValues, line: Line) -> Step:
    node = values.definition(line.name)
    assert node is not None
    array = values.named(line.name)
    label = line.label if array.size > 1 else line.label.replace("each", "the")
    shown = readable(values, line.shown)
    text, latex = written(shown), latex_of(values.model, shown)
    if line.per and line.per != "argument" and array.size > 1:
        text, latex = f"{_key(line)} = {text}", f"{latex_name(_key(line))} = {latex}"
    if label != _key(line) and line.per != "argument":
        text, latex = f"{label}: {text}", rf"\text{{{label}:}}\; {latex}"
    return Step(
        label=label,
        text=text,
        latex=latex,
        shape=step_shape(values.model.graph.resolve_shape(node.shape)),
        value=value_of(values, array),
        verified=verified(values, line.name, line.label),
        kind="equation",
        depth=1,
    )


def _numbers(text: str, label: str, value: Any = None, kind: str = "numbers") -> Step:
    return Step(label=label, text=text, value=value, kind=kind, depth=2)


def _whole(values: SheetValues, line: Line) -> Iterator[Step]:
    """A line that is shown at once: the numbers put in, and what they come to."""
    array = values.named(line.name)
    texts = writable(values, line.shown, [(0, 0)]) if array.size == 1 else None
    put = unbracketed(texts[0]) if texts else put_in(values, line.shown)
    value = value_of(values, array)
    result = unbracketed(brief(values, array))
    text = f"{put} = {result}" if put is not None and put != result else result
    yield _numbers(text, line.label, value, "result")


def _by_sample(values: SheetValues, line: Line) -> Iterator[Step]:
    """One line a sample: an entry of a column, or the number of a lone sample."""
    array = values.named(line.name)
    if array.shape[0] > 1 and array.shape[1] > 1:
        yield from _whole(values, line)
        return
    along = 1 if array.shape[0] == 1 else 0
    places: list[Place] = [(0, k) if along else (k, 0) for k in range(array.shape[along])]
    yield from _each_place(values, line, array, places, "sample")


def _by_entry(values: SheetValues, line: Line) -> Iterator[Step]:
    """One line an entry."""
    array = values.named(line.name)
    if array.ndim != 2:
        yield from _whole(values, line)
        return
    places = [(r, c) for r in range(array.shape[0]) for c in range(array.shape[1])]
    yield from _each_place(values, line, array, places, "entry")


def _each_place(
    values: SheetValues, line: Line, array: Array, places: list[Place], word: str
) -> Iterator[Step]:
    chosen = _some(places)
    texts = writable(values, line.shown, chosen)
    if texts is None:
        yield from _whole(values, line)
        return
    decimals = values.decimals_of(array)
    results = [show_number(array[p], decimals) for p in chosen]
    if all(t == r for t, r in zip(texts, results, strict=True)):
        yield from _whole_column(values, line, array)
        return
    for (r, c), text, result in zip(chosen, texts, results, strict=True):
        label = _label(word, r, c, array)
        if len(chosen) < len(places) and (r, c) == chosen[-1]:
            yield _left_out(len(places) - len(chosen), word)
        shown = result if _same(text, result) else f"{text} = {result}"
        prefix = f"{label}: " if label else ""
        yield _numbers(prefix + shown, label or line.label, nested(array[r, c], decimals), "result")


def _same(text: str, result: str) -> bool:
    return text == result or (text == "0" and not result.strip("0."))


def _whole_column(values: SheetValues, line: Line, array: Array) -> Iterator[Step]:
    """Nothing was computed, only picked out: one line is enough."""
    value = value_of(values, array)
    yield _numbers(unbracketed(brief(values, array)), line.label, value, "result")


def _by_row(values: SheetValues, line: Line) -> Iterator[Step]:
    """One line a sample with an entry for every class, such as the margins of a hinge loss."""
    array = values.named(line.name)
    column = array.shape[1] == 1
    samples = 1 if column else array.shape[0]
    classes = array.shape[0] if column else array.shape[1]
    chosen = _some(list(range(samples)))
    decimals = values.decimals_of(array)
    for k in chosen:
        places = [(c, 0) if column else (k, c) for c in range(classes)]
        texts = writable(values, line.shown, places) if classes <= 10 else None
        numbers = [show_number(array[p], decimals) for p in places]
        label = f"sample {k + 1}" if samples > 1 else ""
        if len(chosen) < samples and k == chosen[-1]:
            yield _left_out(samples - len(chosen), "sample")
        row = f"[{', '.join(numbers)}]"
        if texts is not None:
            # "0" is what the right class's own entry vanishes to: it does not count.
            put = ", ".join("–" if t == "0" else t for t in texts)
            kept = ", ".join("–" if t == "0" else n for t, n in zip(texts, numbers, strict=True))
            row = f"[{put}] = [{kept}]"
        value = nested(np.array([[array[p] for p in places]], dtype=object), decimals)
        step = _numbers(f"{label}: {row}" if label else row, label or line.label, value, "result")
        # A row of a page, which a list of numbers by itself would not be.
        across = " = ".join(f"[{part}]" for part in row.split(" = "))
        told = f"{label}: {across}" if label else across
        yield replace(step, latex=line_latex(told, (), step.label))


def _some(items: list[Any]) -> list[Any]:
    return items if len(items) <= MOST_SAMPLES else [*items[:3], items[-1]]


def _left_out(count: int, word: str) -> Step:
    many = {"sample": "samples", "entry": "entries"}[word]
    return Step(label="…", text=f"… and {count} more {many} in the same way", kind="note", depth=2)


def _label(word: str, r: int, c: int, array: Array) -> str:
    if array.size == 1:
        return ""
    if array.shape[0] == 1 or array.shape[1] == 1:
        return f"{word} {max(r, c) + 1}"
    return f"{word} [{r + 1}, {c + 1}]"


_FORMS: dict[str, Callable[[SheetValues, Line], Iterator[Step]]] = {
    "argument": _whole,
    "": _whole,
    "sample": _by_sample,
    "entry": _by_entry,
    "row": _by_row,
}
