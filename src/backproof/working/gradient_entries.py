"""The entries of a gradient in symbols, where its shape is small, and its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backproof.calculus.backward import Backward
from backproof.calculus.entrywise import Entrywise, NoEntry
from backproof.calculus.evaluate import defined
from backproof.calculus.products import Products
from backproof.language import syntax as ast
from backproof.operators import writing
from backproof.operators.dims import SCALAR
from backproof.operators.node import Loop, Node
from backproof.working.putin import brief_array, unbracketed, value_of
from backproof.working.steps import Step, Verified
from backproof.working.writing import latex_array, latex_of, step_shape, written

if TYPE_CHECKING:
    from backproof.working.gradient import Page

MOST_ENTRIES = 16
LARGEST = 4
LONGEST = 200  # characters of an entry
MOST_LISTED, LONGEST_LISTED = 6, 70  # beyond these the entries are not written out one by one
HOW = "comparison with the checked gradient in decimals of 50 digits"


def entry_steps(page: Page, back: Backward, products: Products) -> Iterator[Step]:
    """The entry [i, j] in symbols, and each entry where there are few."""
    node = back.value
    if node.fill is not None or len(node.shape) != 2 or node.shape == SCALAR:
        return
    sizes = [d.as_int() for d in node.shape]
    rows, columns = (n if n is not None and n <= LARGEST else 0 for n in sizes)
    if not rows or not columns or rows * columns > MOST_ENTRIES:
        return
    names = _letters(page)
    i, j = next(names), next(names)
    general = _entry(page, products, node, ast.Name(i), ast.Name(j), list(names))
    if general is None or len(written(general)) > LONGEST:
        return
    points = _check(page, back, general, i, j, node)
    verified = Verified(HOW, points, 0) if points else None
    yield _step(page, general, _items(node, ast.Name(i), ast.Name(j)), verified, "every entry", 0)
    listed = rows * columns <= MOST_LISTED and len(written(general)) <= LONGEST_LISTED
    array = _array(page)
    for r in range(1, rows + 1):
        for c in range(1, columns + 1):
            at = (writing.number(r), writing.number(c))
            own = _entry(page, products, node, *at, list(_letters(page))[2:])
            if own is not None:
                because = "" if listed else "for instance"
                step = _step(page, own, _items(node, *at), verified, because, 1)
                yield step if array is None else _with_value(page, step, array[r - 1, c - 1])
            if not listed:
                return  # the general entry says it all, and reads better than its copies


def _letters(page: Page) -> Iterator[str]:
    taken = {*page.model.leaves, *page.model.sheet.dimensions}
    return iter([c for c in ("i", "j", "k", "m", "p", "q", "r", "s") if c not in taken])


def _items(node: Node, i: ast.Expr, j: ast.Expr) -> tuple[ast.Expr, ...]:
    if node.shape[1] == 1:
        return (i,)
    return (writing.number(1), j) if node.shape[0] == 1 else (i, j)


def _entry(
    page: Page, products: Products, node: Node, i: ast.Expr, j: ast.Expr, letters: list[str]
) -> ast.Expr | None:
    try:
        return Entrywise(products, iter(letters), page.model.definitions).entry(node, i, j)
    except (NoEntry, StopIteration):
        return None


def _check(page: Page, back: Backward, expr: ast.Expr, i: str, j: str, node: Node) -> int:
    """Elaborates the entry over both indices and compares all entries with the gradient."""
    elaborator = page.model.elaborator()
    loops = [
        ast.Loop(name, writing.number(1), writing.dimension(d))
        for name, d in zip((i, j), node.shape, strict=True)
    ]
    opened, _, _ = elaborator.enter(loops)
    body = elaborator.node(expr)
    order = tuple(v for v in opened if isinstance(v, Loop) and v.size != 1)
    whole = page.model.graph.make("collect", body, params=(order, node.shape))
    return back.simplify.check(node, whole)


def _step(
    page: Page,
    expr: ast.Expr,
    items: tuple[ast.Expr, ...],
    verified: Verified | None,
    because: str,
    depth: int,
) -> Step:
    at = ", ".join(map(written, items))
    label = f"{page.label(page.name)}[{at}]"
    latex = page.latex_entry(page.name, at.replace(" ", ""))
    return Step(
        label, f"{label} = {written(expr)}", f"{latex} = {latex_of(page.model, expr)}", (),
        None, because, verified, "local", depth,
    )  # fmt: skip


def _with_value(page: Page, step: Step, entry: Any) -> Step:
    values = page.values
    one = np.array([[entry]], dtype=object)
    shown = brief_array(one, values.decimals_of(one)).strip("()")
    return replace(
        step, text=f"{step.text} = {shown}", latex=f"{step.latex} = {shown}",
        value=value_of(values, one),
    )  # fmt: skip


def _array(page: Page) -> Any:
    """The gradient at the sheet's values, rounded where the sheet rounds every line, or None."""
    model, values = page.model, page.values
    node = model.deriver.gradient(page.root, page.name)
    if node.fill is not None or not values.computable(node) or not values.computable(page.root):
        return None
    array = values.value(node)
    if not defined(array) or not defined(values.value(page.root)):
        return None
    array = np.broadcast_to(array, tuple(d.as_int() or 1 for d in model.shape(page.name)))
    return values.rounded(array) if values.rounding.each else array


def value_steps(page: Page) -> Iterator[Step]:
    """The gradient at the sheet's values."""
    values, label = page.values, page.label(page.name)
    node = page.model.deriver.gradient(page.root, page.name)
    array = _array(page)
    if array is None:
        if node.fill is None and values.computable(node) and values.computable(page.root):
            text = f"{label} has no value at the given numbers."
            yield Step(label, text, kind="warning")
        return
    shown = unbracketed(brief_array(array, values.decimals_of(array)))
    yield Step(
        label, f"{label} = {shown}", f"{page.latex_label(page.name)} = {latex_array(shown)}",
        step_shape(page.model.shape(page.name)), value_of(values, array), "at the sheet's values",
        page.verified(page.name), "result",
    )  # fmt: skip
