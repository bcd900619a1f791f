r"""Lines of one equation below one another, their equals signs aligned as one writes by hand.

A line `= …` and the result of the same name lose the name that the equation above begins with; a
phantom of it keeps the place. Used where formulas are set; a terminal indents instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from backproof.working.steps import Step

BARS = "bars"  # what explains the bars of a terminal, which stand in no set formula
_SIGNS = (" = ", r" \leftarrow ")


def aligned(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps; those that go on with the equation right above begin below its equals sign."""
    head: Step | None = None
    left = ""
    for step in steps:
        if step.label == BARS:
            continue
        shown = None if head is None else _below(step, head, left)
        if shown is not None:
            yield shown
            continue
        left = _left(step)
        head = step if left else None
        yield step


def _left(step: Step) -> str:
    """What stands before the equals sign, where other lines may go on below it."""
    if step.kind not in ("equation", "local", "chain", "result") or not step.label:
        return ""
    for sign in _SIGNS:
        left, found, _ = step.latex.partition(sign)
        if found and "=" not in left and r"\text" not in left:
            return left
    return ""


def _below(step: Step, head: Step, left: str) -> Step | None:
    if step.label != head.label or step.depth != head.depth + 1:
        return None
    if step.kind == "numbers" and step.latex.startswith("= "):
        right = step.latex.removeprefix("= ")
    elif step.kind == "result" and step.latex.startswith(left):
        rest = step.latex.removeprefix(left)
        sign = next((s for s in _SIGNS if rest.startswith(s)), None)
        if sign is None:
            return None
        right = rest.removeprefix(sign)
    else:
        return None
    shape = None if step.shape == head.shape else step.shape
    return replace(step, latex=rf"\phantom{{{left}}} = {right}", depth=head.depth, shape=shape)
