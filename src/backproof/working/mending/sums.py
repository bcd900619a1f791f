"""Edits of a sum: signs, terms too many or missing, brackets moved in and out of a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backproof.language import syntax as ast
from backproof.working.mending.chains import (
    ADDITIVE,
    Factor,
    Term,
    apply,
    factors,
    led,
    number,
    product,
    terms,
    total,
)
from backproof.working.mending.edits import (
    BRACKET,
    BRACKET_COST,
    COMPLEMENT,
    DEEPER,
    OPERATOR,
    POWER,
    SIGN,
    STRETCHED,
    TERM_EXTRA,
    TERM_MISSING,
    TURNED,
    Edit,
    Put,
)
from backproof.working.mending.pieces import Pieces
from backproof.working.mending.spelling import POSTFIX, Spelling, level


def sum_edits(
    parts: Sequence[Term], put: Put, depth: int, spelling: Spelling, pieces: Pieces, *, inside: bool
) -> Iterator[Edit]:
    """Edits of the signs and the number of the terms; *inside*: within a call."""
    deep = DEEPER * depth

    def edit(cost: float, new: Sequence[Term], what: str) -> Edit:
        return Edit(cost + deep, put, total(new, spelling), what)

    if len(parts) == 2 and parts[0].minus != parts[1].minus:
        first, second = parts
        turned = [Term(False, second.body), Term(True, first.body, second.sign)]
        if first.minus:  # -a + b
            turned = [Term(False, first.body), Term(True, second.body)]
        plain = isinstance(first.body, ast.Number) or isinstance(second.body, ast.Number)
        yield edit((1.06 if inside else 0.93) + (0.05 if plain else 0.0), turned, TURNED)
    elif len(parts) > 1:
        flipped = [p._replace(minus=not p.minus, sign=ast.NOWHERE) for p in parts]
        yield edit(1.12, sorted(flipped, key=lambda p: p.minus), SIGN)
    if len(parts) > 1:
        yield Edit(1.15 + deep, put, apply("neg", total(parts, spelling)), SIGN)
        squared = [p._replace(body=_first_squared(p.body, spelling)) for p in parts]
        yield edit(1.6, squared, POWER)
    for k, part in enumerate(parts):
        flipped_one = part._replace(minus=not part.minus, sign=ast.NOWHERE)
        cost = 0.92 if k or part.minus else 1.0
        yield edit(cost, [*parts[:k], flipped_one, *parts[k + 1 :]], SIGN)
        for new in _minus_moved(part, spelling):
            yield edit(1.2, [*parts[:k], new, *parts[k + 1 :]], SIGN)
        rest = [*parts[:k], *parts[k + 1 :]]
        if rest:
            if rest[0].minus and len(rest) > 1:
                rest.sort(key=lambda p: p.minus)
            yield edit(1.12, rest, TERM_EXTRA)
            if len(rest) == 1 and rest[0].minus:
                yield edit(1.2, [rest[0]._replace(minus=False)], COMPLEMENT)
        power = parts[-1].body
        if isinstance(power, ast.Apply) and power.op == "pow":  # `a - b**2` -> `(a - b)**2`
            inner = total([*parts[:-1], parts[-1]._replace(body=power.args[0])], spelling)
            yield Edit(1.3 + deep, put, apply("pow", inner, power.args[1]), BRACKET)
    if len(parts) == 2:
        yield Edit(1.4 + deep, put, apply("mul", parts[0].body, parts[1].body), OPERATOR)
    if len(parts) == 1:
        complement = [Term(False, number(1)), Term(not parts[0].minus, parts[0].body)]
        yield edit(1.42, complement, COMPLEMENT)
        if parts[0].minus:  # `-a` for `1 - a`
            yield edit(1.3, [Term(False, number(1)), parts[0]], COMPLEMENT)
    shape = pieces.shape_of(total(parts, spelling)) if depth == 0 else None
    for cost, minus, body in pieces.terms(depth):
        plus = Term(minus, body)
        if shape is not None and not isinstance(body, ast.Number):
            cost += 0.0 if pieces.shape_of(body) == shape else STRETCHED
        front = -0.02 if isinstance(body, ast.Name) else 0.01
        yield edit(cost, [*parts, plus], TERM_MISSING)
        if not minus and depth == 0:
            yield edit(cost + front, [plus, *parts], TERM_MISSING)
    yield from _regrouped(parts, put, deep, spelling)
    yield from _bracketed(parts, put, deep, spelling)
    yield from _unbracketed(parts, put, deep, spelling)


def _minus_moved(part: Term, spelling: Spelling) -> Iterator[Term]:
    """`exp(-x)` for `-exp(x)`, and the reverse."""
    inner = factors(part.body, spelling)
    for m, factor in enumerate(inner):
        call = factor.body
        if not isinstance(call, ast.Apply) or level(call) < POSTFIX or len(call.args) != 1:
            continue
        arg = call.args[0]
        minus = isinstance(arg, ast.Apply) and arg.op == "neg"
        if call.op in ("transpose", "eye", "ones", "zeros") or not (part.minus or minus):
            continue
        turned = arg.args[0] if minus and isinstance(arg, ast.Apply) else apply("neg", arg)
        body = factor._replace(body=spelling.remade(call, args=(turned,)))
        whole = product([*inner[:m], body, *inner[m + 1 :]])
        yield Term(not part.minus, whole)


def _first_squared(body: ast.Expr, spelling: Spelling) -> ast.Expr:
    parts = factors(body, spelling)
    first = parts[0]._replace(body=apply("pow", parts[0].body, number(2)))
    return product([first, *parts[1:]])


def _turned(parts: Sequence[Term], minus: bool) -> list[Term]:
    """The terms as they read inside a bracket with this sign in front."""
    return [
        p._replace(minus=p.minus != minus, sign=ast.NOWHERE if minus else p.sign) for p in parts
    ]


def _regrouped(parts: Sequence[Term], put: Put, deep: float, spelling: Spelling) -> Iterator[Edit]:
    """A bracket moved: `log(a) - b` for `log(a - b)`, `1 - log(D)` for `log(1 - D)`."""
    for k, part in enumerate(parts):
        inner = factors(part.body, spelling)
        for m, factor in enumerate(inner):
            call = factor.body
            if (
                not isinstance(call, ast.Apply)
                or level(call) < POSTFIX
                or call.op in ("transpose", "grad", "jac", "hess")
                or len(call.args) != 1
            ):
                continue
            yield from _moved_in(parts, k, inner, m, put, deep, spelling)
            yield from _moved_out(parts, k, inner, m, put, deep, spelling)
            yield from _divided(parts, k, inner, m, put, deep, spelling)


def _bracketed(parts: Sequence[Term], put: Put, deep: float, spelling: Spelling) -> Iterator[Edit]:
    """A bracket left out around terms: `a*b - c` for `a*(b - c)`, `a - b/c` for `(a - b)/c`.

    The signs stay as they are written: what slipped is the bracket and nothing else.
    """
    last = len(parts) - 1
    for k, part in enumerate(parts):
        inner = factors(part.body, spelling)
        for cut in range(1, len(inner)):
            near = BRACKET_COST + deep + 0.02 * min(cut - 1, len(inner) - 1 - cut)
            if inner[cut].op != "div":
                held = Term(False, product(led(inner[cut:])))
                for high in {k + 1, last} if k < last else ():
                    group = total([held, *parts[k + 1 : high + 1]], spelling)
                    tail = inner[cut]._replace(body=group)
                    whole = part._replace(body=product([*inner[:cut], tail]))
                    new = [*parts[:k], whole, *parts[high + 1 :]]
                    yield Edit(near, put, total(new, spelling), BRACKET)
            held = part._replace(body=product(inner[:cut]))
            for low in {k - 1, 0} if k else ():
                first = parts[low]._replace(minus=parts[low].minus and not low)
                group = total([first, *parts[low + 1 : k], held], spelling)
                whole = parts[low]._replace(
                    body=product([Factor("mul", group), *inner[cut:]]),
                    minus=parts[low].minus and bool(low),
                )
                new = [*parts[:low], whole, *parts[k + 1 :]]
                yield Edit(near, put, total(new, spelling), BRACKET)


def _unbracketed(
    parts: Sequence[Term], put: Put, deep: float, spelling: Spelling
) -> Iterator[Edit]:
    """A bracket too many: `a*(b - c)` for `a*b - c`, `(a - b)/c` for `a - b/c`."""
    for k, part in enumerate(parts):
        inner = factors(part.body, spelling)
        if len(inner) < 2:
            continue
        for end in (0, len(inner) - 1):
            held = inner[end].body
            if not (isinstance(held, ast.Apply) and held.op in ADDITIVE) or inner[end].op == "div":
                continue
            split = [t._replace(sign=ast.NOWHERE) for t in terms(held, spelling)]
            if end:
                kept = split[0]
                front = [*inner[:end], inner[end]._replace(body=kept.body)]
                whole = [Term(part.minus != kept.minus, product(front), part.sign)]
                new = [*parts[:k], *whole, *split[1:], *parts[k + 1 :]]
            else:
                kept = split[-1]
                back = [inner[0]._replace(body=kept.body), *inner[1:]]
                start = split[0]._replace(minus=part.minus != split[0].minus, sign=part.sign)
                whole = [kept._replace(body=product(back))]
                new = [*parts[:k], start, *split[1:-1], *whole, *parts[k + 1 :]]
            yield Edit(BRACKET_COST + deep, put, total(new, spelling), BRACKET)


def _moved_in(
    parts: Sequence[Term], k: int, inner: Sequence[Factor], m: int, put: Put, deep: float,
    spelling: Spelling,
) -> Iterator[Edit]:  # fmt: skip
    """Other terms of the sum move into the call."""
    part, call = parts[k], inner[m].body
    assert isinstance(call, ast.Apply)
    arg = call.args[0]

    def edit(new: Sequence[Term]) -> Edit:
        return Edit(1.3 + deep, put, total(new, spelling), BRACKET)

    if len(inner) == 1:
        for low, high in ((0, len(parts)), (0, k + 1), (k, len(parts)), (k, k + 2)):
            if high - low < 2 or high > len(parts):
                continue
            if low < k:  # `1 - log(D)` -> `log(1 - D)`
                group = [*parts[:k], part._replace(body=arg), *parts[k + 1 : high]]
                merged = spelling.remade(call, args=(total(group, spelling),))
                yield edit([Term(False, merged), *parts[high:]])
            else:
                group = [Term(False, arg), *_turned(parts[k + 1 : high], part.minus)]
                merged = spelling.remade(call, args=(total(group, spelling),))
                yield edit([*parts[:k], part._replace(body=merged), *parts[high:]])
    elif m == len(inner) - 1 and k < len(parts) - 1:
        group = [Term(False, arg), *_turned(parts[k + 1 :], part.minus)]
        merged = spelling.remade(call, args=(total(group, spelling),))
        body = product([*inner[:m], inner[m]._replace(body=merged)])
        yield edit([*parts[:k], part._replace(body=body)])


def _moved_out(
    parts: Sequence[Term], k: int, inner: Sequence[Factor], m: int, put: Put, deep: float,
    spelling: Spelling,
) -> Iterator[Edit]:  # fmt: skip
    """Terms at the end (or the front) of the call's argument move out of it."""
    part, call = parts[k], inner[m].body
    assert isinstance(call, ast.Apply)
    held = terms(call.args[0], spelling)
    for cut in range(1, len(held)):
        shorter = spelling.remade(call, args=(total(held[:cut], spelling),))
        body = product([*inner[:m], inner[m]._replace(body=shorter), *inner[m + 1 :]])
        moved = _turned(held[cut:], part.minus)
        new = [*parts[:k], part._replace(body=body), *moved, *parts[k + 1 :]]
        yield Edit(1.3 + deep, put, total(new, spelling), BRACKET)
        if len(inner) > 1:  # `c*log(a - b)` -> `c*(log(a) - b)`
            group = total([Term(False, shorter), *held[cut:]], spelling)
            body = product([*inner[:m], inner[m]._replace(body=group), *inner[m + 1 :]])
            new = [*parts[:k], part._replace(body=body), *parts[k + 1 :]]
            yield Edit(1.3 + deep, put, total(new, spelling), BRACKET)
        elif cut == len(held) - 1:  # `log(1 - D)` -> `1 - log(D)`
            last = spelling.remade(call, args=(held[-1].body,))
            front = _turned(held[:cut], part.minus)
            final = held[-1]._replace(body=last, minus=held[-1].minus != part.minus)
            new = [*parts[:k], *front, final, *parts[k + 1 :]]
            yield Edit(1.35 + deep, put, total(new, spelling), BRACKET)


def _divided(
    parts: Sequence[Term], k: int, inner: Sequence[Factor], m: int, put: Put, deep: float,
    spelling: Spelling,
) -> Iterator[Edit]:  # fmt: skip
    """`log(a)/b` for `log(a/b)`, and the reverse; the same for products."""
    call = inner[m].body
    assert isinstance(call, ast.Apply)

    def edit(new: Sequence[Factor]) -> Edit:
        changed = parts[k]._replace(body=product(new))
        whole = total([*parts[:k], changed, *parts[k + 1 :]], spelling)
        return Edit(1.35 + deep, put, whole, BRACKET)

    for high in range(m + 2, len(inner) + 1):
        arg = product([Factor("mul", call.args[0]), *inner[m + 1 : high]])
        merged = inner[m]._replace(body=spelling.remade(call, args=(arg,)))
        yield edit([*inner[:m], merged, *inner[high:]])
    for low in range(m if inner[m].op != "div" else 0):
        middle = inner[m]._replace(body=call.args[0])
        arg = product([inner[low]._replace(op="mul"), *inner[low + 1 : m], middle])
        merged = Factor(inner[low].op, spelling.remade(call, args=(arg,)), inner[low].sign)
        yield edit([*inner[:low], merged, *inner[m + 1 :]])
    if len(terms(call.args[0], spelling)) > 1:
        return
    held = factors(call.args[0], spelling)
    for cut in range(1, len(held)):
        kept = inner[m]._replace(body=spelling.remade(call, args=(product(held[:cut]),)))
        yield edit([*inner[:m], kept, *held[cut:], *inner[m + 1 :]])
        if held[cut].op != "div":
            last = spelling.remade(call, args=(product(led(held[cut:])),))
            first = [held[0]._replace(op=inner[m].op, sign=inner[m].sign), *held[1:cut]]
            tail = Factor(held[cut].op, last, held[cut].sign)
            yield edit([*inner[:m], *first, tail, *inner[m + 1 :]])
