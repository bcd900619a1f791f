"""`ask batch b`: the same network for many samples, in matrix form, with its gradients.

Says which quantities got the batch axis and why, writes every equation with its shape, averages
the losses, derives the gradients, draws the schematic and, where the number of samples is known,
counts an epoch. Everything is checked against the per-sample sheet before it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from backproof.calculus.batch import BatchSheet, Role, batch_sheet, check_batch
from backproof.calculus.batch.check import BatchChecked
from backproof.calculus.batch.gradients import BatchGradient, BatchGradients, batch_gradients
from backproof.calculus.latex import partial
from backproof.calculus.model import Model
from backproof.errors import ValueProblem
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.operators.dims import ONE, Dim
from backproof.working.schematic import draw, schematic
from backproof.working.shapes import broadcasts
from backproof.working.steps import Step, Verified, Working
from backproof.working.writing import (
    latex_equation,
    latex_of,
    listed,
    shape_brief,
    shape_words,
    step_shape,
    written,
)

LONGEST_FORM = 150  # a full gradient longer than this is left to its chain
FLOAT32 = 4  # bytes
USUAL_SIZES = (16, 32, 64, 128)


def batch_working(
    model: Model,
    size_name: str = "b",
    rows: bool = False,
    n: int | None = None,
    shared: Sequence[str] = (),
    loss: str | None = None,
) -> Working:
    """The working of a batch.

    n        the number of samples in the data, for an epoch's arithmetic
    shared   givens that are the same for every sample
    loss     the name of the loss, where it is not the sheet's last number
    """
    if n is not None and n < 1:
        raise ValueProblem(f"The data have one sample or more; found {n}.")
    batch = batch_sheet(model, size_name, rows, shared, loss)
    checked = check_batch(batch)
    gradients = batch_gradients(batch)
    plan = schematic(batch.model, batch.loss, batch.row)
    epoch = None if n is None else epoch_data(batch, n)
    steps = [
        *_roles(batch),
        *_equations(batch, checked),
        *_gradients(batch, gradients),
        Step("", "The schematic, forward (↓) and backward (↑)", kind="heading"),
        Step("schematic", draw(plan), kind="tree"),
        *_sharing(plan.boxes),
        *(() if epoch is None else _epoch(batch, epoch)),
        Step("", "The batch as a sheet", kind="heading"),
        Step("sheet", batch.text.rstrip(), kind="tree"),
    ]
    data: dict[str, Any] = {
        "size": batch.size,
        "rows": batch.rows,
        "names": dict(batch.names),
        "loss": batch.loss,
        "losses": batch.row,
        "roles": [
            {"name": r.name, "renamed": r.renamed or None, "kind": r.kind, "batched": r.batched,
             "why": r.why} for r in batch.roles
        ],
        "sheet": batch.text,
        "gradients": {
            g.name: None if g.full is None else written(g.full)
            for g in (*gradients.inner, *gradients.parameters)
        },
        "schematic": plan.data(),
    }  # fmt: skip
    if epoch is not None:
        data["epoch"] = epoch
    ask = f"batch {size_name}{' rows' if rows else ''}"
    return Working(ask, tuple(steps), data)


# --- which quantities have the batch axis -------------------------------------------------------


def _roles(batch: BatchSheet) -> Iterator[Step]:
    where = "rows" if batch.rows else "columns"
    yield Step("", f"One sample becomes {batch.size} samples, in {where}", kind="heading")
    staying: dict[str, list[Role]] = {}
    for role in batch.roles:
        if role.kind == "computed" and role.batched and role.renamed:
            continue  # the equations below show these
        if role.batched:
            yield _role(batch, role)
        else:
            staying.setdefault(role.why, []).append(role)
    for why, roles in staying.items():
        shown = listed([f"{r.name} ({shape_brief(batch.single.shape(r.name))})" for r in roles])
        verb = "stays" if len(roles) == 1 else "stay"
        yield Step(", ".join(r.name for r in roles), f"{shown} {verb}: {_said(why)}.", kind="note")
    computed = [r for r in batch.roles if r.kind == "computed" and r.batched and r.renamed]
    if computed:
        pairs = [r.renamed if r.name == r.renamed else f"{r.name} → {r.renamed}" for r in computed]
        yield Step(
            "computed",
            f"{', '.join(pairs)}: what is computed from the data of a sample, for every sample.",
            kind="note",
        )
    for name, why in batch.added.items():
        yield Step(name, f"{name} was added: {why}.", kind="note")


def _said(why: str) -> str:
    """A reason behind a colon, its own colon as a comma."""
    return why.replace(": ", ", ", 1)


def _role(batch: BatchSheet, role: Role) -> Step:
    single = shape_brief(batch.single.shape(role.name))
    if not role.renamed:
        return Step(role.name, f"{role.name} ({single}) has no place of its own: {role.why}.",
                    kind="note")  # fmt: skip
    shape = batch.model.shape(role.renamed)
    text = f"{role.name} ({single}) → {role.renamed} ({shape_brief(shape)}): {_said(role.why)}."
    return Step(role.name, text, shape=step_shape(shape), kind="note")


# --- the equations ------------------------------------------------------------------------------


def _equations(batch: BatchSheet, checked: BatchChecked) -> Iterator[Step]:
    model = batch.model
    yield Step("", "The equations in matrix form", kind="heading")
    turned = {batch.names[n] for n in batch.turned if n in batch.names}
    for name, equation in model.sheet.equations.items():
        if name == batch.loss:
            continue
        expr = equation.expr
        because = [_biases(text, expr, batch) for text in broadcasts(model, expr)]
        if name == batch.row:
            because.append(f"one loss for each sample, {shape_words(model.shape(name))}")
        if name in turned:
            because.append("a row for one sample, kept as a "
                           f"{'row' if batch.rows else 'column'} of the batch")  # fmt: skip
        yield _equation(model, name, expr, "; ".join(because))
    loss = model.sheet.equations[batch.loss].expr
    yield _equation(
        model, batch.loss, loss, f"the average over the batch, (1/{batch.size}) times the sum",
        Verified(
            "every quantity, sample by sample, against the sheet of one sample, and the mean of "
            "the losses",
            checked.points,
        ) if checked.points else None,
    )  # fmt: skip
    yield Step("checked", _checked_words(batch, checked), kind="note")


def _equation(
    model: Model, name: str, expr: ast.Expr, because: str, verified: Verified | None = None
) -> Step:
    return Step(
        label=name,
        text=f"{name} = {written(expr)}",
        latex=latex_equation(model, name, expr),
        shape=step_shape(model.shape(name)),
        because=because,
        verified=verified,
    )


def _biases(text: str, expr: ast.Expr, batch: BatchSheet) -> str:
    """Adds how a column that is added to all samples is written on paper."""
    name = text.split(" ")[0].removesuffix(".T")
    if f"each of the {batch.size} " not in text or batch.model.sheet.kind_of(name) != "learn":
        return text
    return f"{text}, on paper {f'1 {name}ᵀ' if batch.rows else f'{name} 1ᵀ'}"


def _checked_words(batch: BatchSheet, checked: BatchChecked) -> str:
    if not checked.points:
        return "Nothing could be checked: no random point lies inside every domain."
    part = "row" if batch.rows else "column"
    count = f"{checked.points} random point{'s' if checked.points > 1 else ''}"
    return (
        f"At {count} with {checked.samples} samples in all, each {part} of these "
        f"{checked.quantities} quantities is what its sample gives alone, and {batch.loss} is the "
        "mean of the samples' losses."
    )


# --- the gradients ------------------------------------------------------------------------------


def _gradients(batch: BatchSheet, found: BatchGradients) -> Iterator[Step]:
    if not found.parameters:
        yield Step("", f"{batch.loss} depends on no parameter, so there is no gradient.",
                   kind="note")  # fmt: skip
        return
    yield Step("", f"The gradients of {batch.loss}", kind="heading")
    for g in found.inner:
        yield _gradient(batch, g, g.chained or g.full, "chain", "")
    for g in found.parameters:
        yield from _parameter(batch, g, found.checked)
    for fact in found.facts:
        yield Step("fact", f"Used: {fact}.", kind="note")


def _parameter(batch: BatchSheet, g: BatchGradient, checked: BatchChecked) -> Iterator[Step]:
    verified = Verified("against the mean of the samples' own gradients", checked.points)
    because = ""
    forms = [e for e in (g.chained, g.full) if e is not None]
    if forms:
        because = _why(forms[0])
    short = [e for e in forms if len(written(e)) <= LONGEST_FORM] or forms[:1]
    for k, expr in enumerate(short):
        last = k == len(short) - 1
        yield _gradient(
            batch, g, expr, "result" if last else "chain", "" if k else because,
            verified if last else None,
        )  # fmt: skip
    if not forms:
        yield _gradient(batch, g, None, "result", because, verified)


def _why(expr: ast.Expr) -> str:
    parts = {e.op for e in ast.walk(expr) if isinstance(e, ast.Apply)}
    if parts & {"sum", "mean"}:
        return "the sum over the samples"
    return "the product sums over the samples" if "matmul" in parts else ""


def _gradient(
    batch: BatchSheet,
    g: BatchGradient,
    expr: ast.Expr | None,
    kind: str,
    because: str,
    verified: Verified | None = None,
) -> Step:
    label = f"∂{batch.loss}/∂{g.name}"
    left = partial(batch.loss, g.name)
    latex = "" if expr is None else f"{left} = {latex_of(batch.model, expr)}"
    return Step(
        label=label,
        text=f"{label} = {'(no words in the sheet language)' if expr is None else written(expr)}",
        latex=latex,
        shape=step_shape(g.shape),
        because=because,
        verified=verified,
        kind=kind,
    )


def _sharing(boxes: Sequence[Any]) -> Iterator[Step]:
    twins = dict.fromkeys(b.twin for b in boxes if b.twin)
    for group in twins:
        yield Step("twins", f"{group} are twins: the same equation with the same parameters.",
                   kind="note")  # fmt: skip


# --- an epoch -----------------------------------------------------------------------------------


def epoch_data(batch: BatchSheet, n: int) -> dict[str, Any]:
    """Full batches, the last one, updates, and the memory of the activations in float32."""
    number = Dim.of(int(batch.size)) if batch.size.isdecimal() else Dim.of(batch.size)
    known = batch.model.graph.resolve(number).as_int()
    numbers = Dim.of(0)
    for equation in batch.equations:
        if equation.sampled:
            total = ONE
            for d in batch.model.shape(equation.renamed):
                total = total * d
            numbers = numbers + total
    sizes = [known] if known is not None else [s for s in USUAL_SIZES if s <= n] or [n]
    return {
        "samples": n,
        "activations": str(numbers),
        "bytes": str(numbers * FLOAT32),
        "sizes": [_epoch_of(batch, n, s, numbers) for s in sizes],
    }


def _epoch_of(batch: BatchSheet, n: int, size: int, numbers: Dim) -> dict[str, Any]:
    full, last = divmod(n, size)
    count = numbers if batch.size.isdecimal() else numbers.substitute({batch.size: size})
    memory = count * FLOAT32
    whole = memory.as_int()
    return {
        "size": size, "full": full, "last": last, "updates": full + bool(last),
        "bytes": str(memory) if whole is None else whole,
    }  # fmt: skip


def _epoch(batch: BatchSheet, epoch: dict[str, Any]) -> Iterator[Step]:
    n = epoch["samples"]
    yield Step("", f"An epoch over {n} samples", kind="heading")
    sampled = [e.renamed for e in batch.equations if e.sampled]
    yield Step(
        "activations",
        f"Numbers kept for the way back ({listed(sampled)}): {epoch['activations']}, "
        f"that is {epoch['bytes']} bytes in float32.",
        kind="note",
    )
    for row in epoch["sizes"]:
        full, last, size = row["full"], row["last"], row["size"]
        rest = f"a last one of {last}, averaged over {last}" if last else "none left over"
        named = f"{batch.size} = {size}"
        memory = f"{row['bytes']:,}" if isinstance(row["bytes"], int) else row["bytes"]
        yield Step(
            named,
            f"{f'batches of {size}' if batch.size.isdecimal() else named}: "
            f"{n} = {full} · {size} + {last}: {full} full batch{'' if full == 1 else 'es'} and "
            f"{rest}; {row['updates']} update{'' if row['updates'] == 1 else 's'} an epoch; "
            f"activations of a batch: {memory} bytes.",
            value=row["updates"],
            kind="note",
        )


def batch_of_ask(model: Model, ask: ast.Ask) -> Working:
    """The answer to `ask batch b rows samples 1000 shared K`; all words but the size may miss."""
    options = dict(ask.options)
    samples = options.get("samples")
    if samples is not None and not (
        isinstance(samples, ast.Number) and samples.value.denominator == 1
    ):
        raise ValueProblem(
            "The number of samples in the data is a whole number.",
            place=model.sheet.place(samples.span),
        )
    shared = [unparse(v) for k, v in ask.options if k == "shared" and v is not None]
    return batch_working(
        model,
        unparse(ask.targets[0]),
        "rows" in options,
        int(samples.value) if isinstance(samples, ast.Number) else None,
        shared,
    )
