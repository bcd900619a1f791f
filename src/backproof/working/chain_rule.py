"""The chain rule written out: products of named local derivatives, and each of them worked out.

For networks of one sample, where every quantity on the way is a column or a number. What a matrix
passes to its product is a tensor of three axes; it is never built, its rule is given instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from backproof.calculus.backward import Backward
from backproof.calculus.latex import latex_name
from backproof.calculus.local import Local, direct_jacobian, local, local_shape
from backproof.calculus.local_witness import verify_local
from backproof.calculus.products import Products
from backproof.calculus.witness import Witnessed, contradiction
from backproof.operators.node import Node, postorder, quantities
from backproof.working.steps import Step, Verified
from backproof.working.writing import latex_of, shape_brief, step_shape, written

if TYPE_CHECKING:
    from backproof.working.gradient import Page

Edge = tuple[str, str]  # (of, by); "" is the number asked about, where it has no name
NUMBER = "a number"  # as `shape_brief` says it
MOST_PATHS = 6
MOST_FACTORS = 12
MOST_LOCALS = 24
HOW = "numeric differentiation in decimals of 50 digits"
# Rules that say little beside the others of the same equation.
GENERAL = (
    "derivative of a sum", "derivative of a difference", "derivative of a negative",
    "product rule", "transpose of the gradient", "derivative of a sum: ones",
    "axes read as indices", "derivative of a sum, index by index", "entries collected into axes",
)  # fmt: skip


def chain_steps(page: Page, back: Backward, products: Products) -> Iterator[Step]:
    """The chain along every path, and every local derivative on its own line."""
    denominator = page.model.denominator
    order = f"from {page.name} up to {page.of}" if denominator else (
        f"from {page.of} down to {page.name}"
    )  # fmt: skip
    layout = "denominator" if denominator else "numerator"
    text = f"The chain rule, in {layout} layout ({order}):"
    yield Step(page.label(page.name), text, kind="heading")
    edges: dict[Edge, None] = {}
    for k, path in enumerate(back.paths(MOST_PATHS)):
        chain = _edges(back, path)
        if denominator:
            chain.reverse()
        edges.update(dict.fromkeys(chain))
        yield _chain(page, chain, k)
    count = back.count_paths()
    if count > MOST_PATHS:
        yield Step(page.label(page.name), f"+ … ({count} products in all)", kind="chain", depth=1)
    yield Step(page.label(page.name), "with the local derivatives", kind="heading")
    shown = list(edges)
    if len(shown) > MOST_LOCALS:
        shown = [*shown[:10], ("", ""), *shown[-8:]]
    before = ""
    for edge in shown:
        if edge == ("", ""):
            text = f"… {len(edges) - 18} local derivatives of the same kinds …"
            yield Step(page.label(page.name), text, kind="note", depth=1)
        else:
            step = _local(page, back, products, edge)
            same = step.because == before  # a chain of equal layers says its rule once
            before = step.because
            yield replace(step, because="") if same else step
    for line in back.lines.values():  # where what touches cancels
        if any(s.merged for s in line.shares) and line.name != page.name:
            yield from page.one_line(back, line, products)


def _edges(back: Backward, path: list[str]) -> list[Edge]:
    names = path if back.start else ["", *path]
    return list(pairwise(names))


def _chain(page: Page, chain: list[Edge], k: int) -> Step:
    """One product of local derivatives, with the shapes of its factors."""
    model = page.model
    texts = [_label(page, e) if len(chain) > 1 else _direct(page, e) for e in chain]
    latex = [_latex(page, edge) for edge in chain]
    shapes = []
    for of, by in chain:
        of_shape = model.shape(of) if of else page.root.shape
        shapes.append(shape_brief(local_shape(of_shape, model.shape(by), model.denominator)))
    if len(texts) > MOST_FACTORS:
        left = len(texts) - 8
        texts = [*texts[:4], f"… {left} more …", *texts[-4:]]
        shapes = [*shapes[:4], "…", *shapes[-4:]]
        latex = [*latex[:4], r"\cdots", *latex[-4:]]
    head = "+ " if k else f"{page.label(page.name)} = "
    latex_head = "+ " if k else f"{page.latex_label(page.name)} = "
    return Step(
        label=page.label(page.name),
        text=head + " @ ".join(texts),
        latex=latex_head + r"\, ".join(latex),
        shape=step_shape(model.shape(page.name)),
        because=_shapes(shapes),
        verified=page.verified(page.name),
        kind="chain",
        depth=1,
    )


def _shapes(shapes: list[str]) -> str:
    """`shapes (3 × 3) @ (3 × 1), times two numbers`."""
    sizes = [f"({s})" if "×" in s else s for s in shapes if s != NUMBER]
    count = len(shapes) - len(sizes)
    times = {0: "", 1: "a number", 2: "two numbers", 3: "three numbers"}.get(count, "numbers")
    if not sizes:
        return ""
    return f"shapes {' @ '.join(sizes)}" + (f", times {times}" if times else "")


def _label(page: Page, edge: Edge) -> str:
    of, by = edge
    return f"∂{of}/∂{by}" if of else page.label(by)


def _direct(page: Page, edge: Edge) -> str:
    """The local derivative of the number itself by the name, where other paths lead there too."""
    return f"{_label(page, edge)} (directly)"


def _latex(page: Page, edge: Edge) -> str:
    of, by = edge
    if not of:
        return page.latex_label(by)
    return rf"\frac{{\partial {latex_name(of)}}}{{\partial {latex_name(by)}}}"


def _local(page: Page, back: Backward, products: Products, edge: Edge) -> Step:
    """One local derivative worked out: a matrix, or the rule of a tensor."""
    model = page.model
    of, by = edge
    node = model.definitions[of] if of else page.root
    found = local(model, of, node, by, back.simplify, model.denominator)
    label, latex = _label(page, edge), _latex(page, edge)
    because = _because(found, node)
    if found.matrix is not None:
        expr = products(found.matrix)
        shown = found.matrix
        verified = _check_matrix(page, back, found, node)
    else:
        expr = products(found.rule) if found.rule is not None else None
        shown = found.rule if found.rule is not None else node
        passed = found.passed.name if found.passed is not None else "v"
        label_text, latex = f"{label} · {passed}", rf"{latex} \cdot {latex_name(passed or 'v')}"
        verified = _check_rule(page, back, found, node)
        because = _rule_words(found, node)
        if expr is not None:
            return Step(
                label, f"{label_text} = {written(expr)}", f"{latex} = {latex_of(model, expr)}",
                step_shape(found.shape), None, because, verified, "local", 1,
            )  # fmt: skip
    if found.rule is None and found.matrix is None:
        because = "held fixed: no gradient is passed on"
        shape = step_shape(found.shape)
        return Step(label, f"{label} = 0", f"{latex} = 0", shape, None, because, None, "local", 1)
    if expr is None:
        text = f"{label}: no matrix form; {shape_brief(found.shape)}"
        return Step(label, text, "", step_shape(found.shape), None, because, None, "local", 1)
    worked = [expr]
    equation = model.sheet.equations.get(shown.name or "")
    if equation is not None and shown.name not in edge:  # the sheet has a name for it
        worked.insert(0, equation.expr)
    return Step(
        label, " = ".join([label, *map(written, worked)]),
        " = ".join([latex, *(latex_of(model, e) for e in worked)]),
        step_shape(found.shape), None, because + _identity(shown), verified, "local", 1,
    )  # fmt: skip


def _identity(node: Node) -> str:
    if node.is_identity:
        return ", the identity I"
    if node.op.signs == (-1,) and node.args[0].is_identity:
        return ", minus the identity: -I"
    return ""


def _because(found: Local, node: Node) -> str:
    special = [s for s in found.says if s not in GENERAL]
    return "; ".join(_own_half(s, node, found.by) for s in (special or list(found.says))[:2])


def _own_half(rule: str, node: Node, by: str) -> str:
    """Of a rule with one formula for each factor, `…: for A, for B`, the one that was used."""
    name, sign, formulas = rule.partition(": ")
    halves = formulas.split(", ")
    sides = {
        k
        for n in postorder([node])
        if n.op.says == rule and len(n.args) == len(halves)
        for k, arg in enumerate(n.args)
        if by in quantities([arg]) or (arg.name == by)
    }
    return f"{name}{sign}{halves[sides.pop()]}" if len(halves) == 2 and len(sides) == 1 else rule


def _rule_words(found: Local, node: Node) -> str:
    rule, passed = found.rule, found.passed
    if rule is not None and rule.matrices and passed is rule.args[0]:
        start = "the rule ∇_W(W x)·v = v xᵀ"
    else:
        start = _because(found, node)
    return f"{start}; the tensor {shape_brief(found.shape)} itself is never built"


def _check_matrix(page: Page, back: Backward, found: Local, node: Node) -> Verified | None:
    """Against the derivative in index form, and against numeric differentiation."""
    model, matrix = page.model, found.matrix
    assert matrix is not None
    whole = direct_jacobian(model, found.of, node, found.by, model.denominator)
    back.simplify.check(whole, matrix)
    return _verified(verify_local(model, node, found, back.simplify.evaluators()), found)


def _check_rule(page: Page, back: Backward, found: Local, node: Node) -> Verified | None:
    """The rule, for a gradient drawn at random."""
    if found.rule is None or found.passed is None:
        return None
    return _verified(verify_local(page.model, node, found, back.simplify.evaluators()), found)


def _verified(seen: Witnessed, found: Local) -> Verified | None:
    if seen.failed:
        raise contradiction(f"the derivative of {found.of} by {found.by}")
    return Verified(HOW, seen.points, 0) if seen.points else None
