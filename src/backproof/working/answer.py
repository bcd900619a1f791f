"""From an ask to its working, through one table; and the whole working of a sheet without asks.

What the language names and this version cannot answer says so in its place.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backproof.calculus.model import Model
from backproof.errors import BackproofError, NotAvailable, Place, SheetError, Source, Span
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.working.spelled import with_latex
from backproof.working.steps import Step, Working

if TYPE_CHECKING:
    from backproof.working.claims import Verdict

LATER: dict[str, str] = {}  # what the language names and this version cannot answer, in words


def answer(model: Model, ask: ast.Ask) -> Working:
    """The working that answers an ask; NotAvailable for what is not there yet."""
    place = model.sheet.place(ask.span)
    if ask.what in LATER:
        raise NotAvailable(
            f"`ask {ask.what}` ({LATER[ask.what]}) is not available yet.", place=place
        )
    working = ASKS[ask.what](model, ask)
    working = with_latex(model, replace(working, ask=ask.text or working.ask))
    return _with_blanks(working, ask) if ask.blanks else working


def asks_of(model: Model) -> list[ast.Ask]:
    """The asks of a sheet; the whole working where it asks nothing."""
    if model.sheet.asks:
        return list(model.sheet.asks)
    asks = [ast.Ask("shapes", text="shapes"), ast.Ask("forward", text="forward")]
    loss = loss_of(model)
    if loss is not None:
        asks.append(ast.Ask("tree", (ast.Name(loss),), text=f"tree {loss}"))
        below = model.depends_on(model.definitions[loss])
        for name in model.learned:
            if name in below:
                text = f"gradient {loss} wrt {name}"
                asks.append(ast.Ask("gradient", (ast.Name(loss),), (ast.Name(name),), text=text))
    return asks


def loss_of(model: Model) -> str | None:
    """The number that a step makes smaller, or None where there is none."""
    from backproof.working import step

    try:
        return step.loss_of(model, model.learned)[0]
    except SheetError:
        return None


def require_loss(model: Model) -> str:
    """The loss, or an error that says that there is none."""
    from backproof.working import step

    return step.loss_of(model, model.learned)[0]


# --- each ask ----------------------------------------------------------------------------------


def _shapes(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.shapes import shapes_working

    return shapes_working(model, ask.targets)


def _forward(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.forward import forward_working

    return forward_working(model)


def _value(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.forward import value_working

    return _together([value_working(model, target) for target in ask.targets])


def _tree(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.tree import tree_working

    targets = ask.targets or (ast.Name(require_loss(model)),)
    return _together([tree_working(model, target) for target in targets])


def _gradient(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.gradient import gradient_working

    targets = ask.targets or (ast.Name(require_loss(model)),)
    wrt = ask.wrt or tuple(ast.Name(name) for name in model.learned)
    if not wrt:
        raise SheetError(
            "This sheet learns nothing, so there is no parameter to take the gradient by.",
            place=model.sheet.place(ask.span),
            hint=f"say by what: ask gradient {unparse(targets[0])} wrt x; or declare parameters: "
            "learn W in R[3]",
        )
    return _together([gradient_working(model, t, w) for t in targets for w in wrt])


def _step(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.step import step_working

    for target in ask.targets:
        if not isinstance(target, ast.Name):
            place = model.sheet.place(target.span)
            raise SheetError("A step is asked for parameters, by their names.", place=place)
    names = [t.id for t in ask.targets if isinstance(t, ast.Name)]
    return step_working(model, names, dict(ask.options).get("rate"))


def _slow(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.slow import slow_working

    for target in ask.targets:
        if not isinstance(target, ast.Name):
            place = model.sheet.place(target.span)
            raise SheetError("'ask slow' is asked for parameters, by their names.", place=place)
    return _together([slow_working(model, t.id) for t in ask.targets if isinstance(t, ast.Name)])


def slow_answer(model: Model, name: str, loss: str | None, data: Path | None) -> Working:
    """When a parameter learns slowly, with a loss that is named, or over the samples of a file."""
    from backproof.working.samples import load_samples
    from backproof.working.slow import slow_working

    samples = None if data is None else load_samples(data, model)
    return slow_working(model, name, loss, samples)


def _weights(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.weights import weights_working

    return weights_working(model, ask.targets)


def _batch(model: Model, ask: ast.Ask) -> Working:
    from backproof.working.batch import batch_of_ask

    return batch_of_ask(model, ask)


def _with_blanks(working: Working, ask: ast.Ask) -> Working:
    from backproof.working.blanks import blanks_of_ask

    return blanks_of_ask(working, ask)


def _together(workings: list[Working]) -> Working:
    """Several answers to one ask, one below the other."""
    if len(workings) == 1:
        return workings[0]
    steps: list[Step] = []
    for working in workings:
        steps.append(Step("", working.ask, kind="heading"))
        steps.extend(working.steps)
    return Working("", tuple(steps), {"parts": [dict(w.data) for w in workings]})


ASKS: dict[str, Callable[[Model, ast.Ask], Working]] = {
    "shapes": _shapes,
    "forward": _forward,
    "value": _value,
    "tree": _tree,
    "gradient": _gradient,
    "step": _step,
    "batch": _batch,
    "slow": _slow,
    "weights": _weights,
}


# --- one more statement than the sheet has -----------------------------------------------------


def answer_question(model: Model, question: str) -> Working:
    """The answer to what would stand behind `ask` in the sheet; errors point into the question."""
    statement = f"ask {question}"
    longer = _extended(model, statement)
    try:
        return answer(longer, longer.sheet.asks[-1])
    except BackproofError as error:
        raise within(error, statement) from None


def judge(model: Model, claim: str) -> Verdict:
    """The verdict on what would stand behind `claim` in the sheet."""
    from backproof.working.claims import check_claims

    longer = _extended(model, f"claim {claim}")
    longer.sheet = replace(longer.sheet, claims=longer.sheet.claims[-1:])
    return replace(check_claims(longer)[0], line=1)


def gradient_question(
    model: Model, target: str | None = None, wrt: Sequence[str] | None = None
) -> str:
    """`gradient L wrt W1, b1`: the loss, and every parameter it depends on, where left out."""
    target = target or require_loss(model)
    if not wrt:
        reached = model.definitions.get(target)
        below = model.depends_on(reached) if reached is not None else set(model.learned)
        wrt = [name for name in model.learned if name in below] or list(model.learned)
    return f"gradient {target} wrt {', '.join(wrt)}"


def step_question(model: Model, names: Sequence[str] = (), rate: str | None = None) -> str:
    """`step W, b rate 0.01`: every learned name where left out."""
    wanted = ", ".join(names or model.learned)
    return f"step {wanted}" + ("" if rate is None else f" rate {rate}")


def _extended(model: Model, statement: str) -> Model:
    """The model with one more statement at its end; everything derived stays."""
    try:
        longer = model.sheet.extended(statement)
    except BackproofError as error:
        raise within(error, statement) from None
    model = copy.copy(model)
    model.sheet = longer
    return model


def within(error: BackproofError, statement: str) -> BackproofError:
    """The error with its places in the added statement moved to a source of its own."""
    own = Source("(asked)", statement)

    def moved(place: Place) -> Place:
        start = len(place.source.text) - len(statement)
        if place.span.start < start or not place.source.text.endswith(statement):
            return place
        return Place(own, Span(place.span.start - start, place.span.end - start))

    if error.place is not None:
        error.place = moved(error.place)
    if error.also is not None:
        label, also = error.also
        error.also = (label, moved(also))
    return error
