"""Works out what every name of a sheet stands for, and complains where that is not clear.

A name is a quantity (given, learned, or defined by an equation), a dimension, an index of a sum,
or one of the numbers pi and e. Nothing here knows shapes or values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from backproof.errors import NameProblem, Place, SheetSyntaxError, Source, Span
from backproof.language.functions import CONSTANTS, FUNCTIONS, name_hint
from backproof.language.syntax import (
    Ask,
    Assume,
    Claim,
    Comprehension,
    Declaration,
    Equation,
    Expr,
    Let,
    Loop,
    Name,
    SetExpr,
    Statement,
    Subscript,
    Vary,
    children,
    walk,
)


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of a sheet stand for.

    values      the value that a declared name was given, in its declaration or in a line below
    dimensions  every dimension name, with the place where it was first named
    uses        the quantities that each equation names, in the order in which it names them
    order       the names of the equations, every one after those that it uses
    """

    declarations: dict[str, Declaration] = field(default_factory=dict)
    equations: dict[str, Equation] = field(default_factory=dict)
    values: dict[str, Expr] = field(default_factory=dict)
    lets: dict[str, Let] = field(default_factory=dict)
    dimensions: dict[str, Span] = field(default_factory=dict)
    uses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


def resolve_names(source: Source, statements: Iterable[Statement]) -> Names:
    """The names of a sheet, after every check that needs no shapes."""
    statements = tuple(statements)
    resolver = _Resolver(source)
    resolver.define(statements)
    resolver.check_clashes()
    resolver.check_values()
    for statement in statements:
        resolver.check_statement(statement)
    resolver.sort_equations()
    return resolver.names


def free_names(expr: Expr, bound: frozenset[str] = frozenset()) -> Iterator[Name]:
    """Every name in an expression that is not an index of a sum around it, in reading order."""
    stack: list[tuple[Expr, frozenset[str]]] = [(expr, bound)]
    while stack:
        node, inside = stack.pop()
        kind = type(node)
        if kind is Name:
            assert isinstance(node, Name)
            if node.id not in inside:
                yield node
        elif kind is Comprehension:
            assert isinstance(node, Comprehension)
            parts, within = _scopes(node.loops, inside)
            parts = [(node.body, within), *parts]
            parts.extend((condition, within) for condition in node.conditions)
            stack.extend(reversed(parts))
        else:
            stack.extend((child, inside) for child in reversed(tuple(children(node))))


def _scopes(
    loops: tuple[Loop, ...], bound: frozenset[str]
) -> tuple[list[tuple[Expr, frozenset[str]]], frozenset[str]]:
    """The ends of the loops, each with the indices that it may use, and all indices."""
    ends: list[tuple[Expr, frozenset[str]]] = []
    for loop in loops:
        ends += [(loop.lower, bound), (loop.upper, bound)]
        bound |= {loop.name}
    return ends, bound


_TWICE_HINTS = {
    "given a value": "keep one of the two values",
    "given a number": "keep one of the two numbers",
    "varied": "keep one of the two",
    "declared": "declare it once, or give the second one another name",
}


class _Resolver:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.names = Names()
        self.assigned: dict[str, Span] = {}  # where a declared name was given its value
        self.indices: set[str] = set()
        self.varied: dict[str, Span] = {}

    # definitions

    def define(self, statements: tuple[Statement, ...]) -> None:
        names = self.names
        for statement in statements:
            match statement:
                case Declaration():
                    self._declare(statement)
                case Let(name=name, name_span=span):
                    if name in names.lets:
                        self._twice(name, "given a number", span, names.lets[name].name_span)
                    names.lets[name] = statement
                    names.dimensions.setdefault(name, span)
                case Equation(name=name):
                    if name in names.declarations:
                        self._assign(statement)
                    elif name in names.equations:
                        first = names.equations[name].name_span
                        self._twice(name, "defined", statement.name_span, first)
                    else:
                        names.equations[name] = statement

    def _declare(self, declaration: Declaration) -> None:
        names, name, span = self.names, declaration.name, declaration.name_span
        if name in names.declarations:
            self._twice(name, "declared", span, names.declarations[name].name_span)
        if name in names.equations:
            self._twice(name, "defined", span, names.equations[name].name_span)
        names.declarations[name] = declaration
        if declaration.value is not None:
            names.values[name] = declaration.value
        if declaration.value is not None or declaration.file is not None:
            self.assigned[name] = span
        if declaration.set is not None:
            for node in _dimension_names(declaration.set):
                names.dimensions.setdefault(node.id, node.span)

    def _assign(self, equation: Equation) -> None:
        name = equation.name
        if name in self.assigned:
            self._twice(name, "given a value", equation.name_span, self.assigned[name])
        self.names.values[name] = equation.expr
        self.assigned[name] = equation.name_span

    def _twice(self, name: str, done: str, span: Span, first: Span) -> NoReturn:
        self._fail(
            f"'{name}' is {done} twice.",
            span,
            hint=_TWICE_HINTS.get(done, "give the second one another name"),
            also=(f"'{name}' is first {done} here", first),
        )

    # clashes and values

    def check_clashes(self) -> None:
        names = self.names
        for name, span in names.dimensions.items():
            declared = names.declarations.get(name) or names.equations.get(name)
            if declared is None:
                continue
            self._fail(
                f"'{name}' is a dimension and cannot be a quantity too.",
                declared.name_span,
                hint=f"rename one of the two; a dimension gets its number by 'let {name} = 3'",
                also=(f"'{name}' is used as a dimension here", span),
            )

    def check_values(self) -> None:
        """A declared name gets a value that needs no other quantity."""
        for name, value in self.names.values.items():
            for node in free_names(value):
                if self._quantity(node.id) or not self._known(node.id):
                    self._not_a_value(name, node)

    def _not_a_value(self, name: str, node: Name) -> NoReturn:
        declaration = self.names.declarations[name]
        if not self._known(node.id):
            self._unknown(node)
        role = "given" if declaration.role == "given" else "learned"
        self._fail(
            f"'{name}' is {role}, so its value is a number or a list of numbers; "
            f"found the quantity '{node.id}'.",
            node.span,
            hint=f"take '{name}' out of '{declaration.role}' to define it by an equation",
            also=(f"'{name}' is declared here", declaration.name_span),
        )

    def _quantity(self, name: str) -> bool:
        return name in self.names.declarations or name in self.names.equations

    def _known(self, name: str) -> bool:
        return self._quantity(name) or name in self.names.dimensions or name in CONSTANTS

    # unknown names

    def check_statement(self, statement: Statement) -> None:
        match statement:
            case Declaration(set=set_):
                if set_ is not None and set_.kind == "interval":
                    self._check_bounds(set_)
            case Let(name=name, value=value):
                self._check_let(name, value)
            case Assume(condition=condition):
                self._check(condition)
            case Equation(name=name, expr=expr):
                if name in self.names.equations:
                    used = (node.id for node in self._check(expr))
                    quantities = (n for n in used if self._quantity(n))
                    self.names.uses[name] = tuple(dict.fromkeys(quantities))
            case Ask():
                self._check_ask(statement)
            case Claim():
                self._check_claim(statement)
            case Vary():
                self._check_vary(statement)

    def _check_vary(self, vary: Vary) -> None:
        """Only what is given, learned or a dimension with a number is drawn anew."""
        name = vary.name
        first = self.varied.get(name)
        if first is not None:
            self._twice(name, "varied", vary.name_span, first)
        self.varied[name] = vary.name_span
        if name in self.names.declarations or name in self.names.lets:
            return
        if name in self.names.equations:
            self._fail(
                f"'{name}' is defined by an equation, so its value follows and cannot be varied.",
                vary.name_span,
                hint="vary what is given or learned",
            )
        self._unknown(Name(name, vary.name_span))

    def _check(self, expr: Expr, bound: frozenset[str] = frozenset()) -> list[Name]:
        found = list(free_names(expr, bound))
        for node in found:
            if not self._known(node.id):
                self.indices.update(
                    loop.name
                    for part in walk(expr)
                    if isinstance(part, Comprehension)
                    for loop in part.loops
                )
                self._unknown(node)
        return found

    def _check_bounds(self, set_: SetExpr) -> None:
        for bound in set_.bounds:
            for node in free_names(bound):
                if node.id not in CONSTANTS or self._quantity(node.id):
                    self._fail(
                        f"The ends of an interval are numbers; found the name '{node.id}'.",
                        node.span,
                        hint="write the number, or state the bound with 'assume'",
                        kind=SheetSyntaxError,
                    )

    def _check_let(self, name: str, value: Expr) -> None:
        for node in free_names(value):
            if node.id not in self.names.lets:
                self._fail(
                    f"'{name}' needs a number, and '{node.id}' has none.",
                    node.span,
                    hint=f"write 'let {node.id} = …' too",
                )
        stack, seen = [name], set()
        while stack:
            here = self.names.lets[stack.pop()]
            for node in free_names(here.value):
                if node.id == name:
                    self._fail(f"The number of '{name}' depends on itself.", here.name_span)
                if node.id not in seen:
                    seen.add(node.id)
                    stack.append(node.id)

    def _check_ask(self, ask: Ask) -> None:
        if ask.what != "batch":  # the target of a batch is a new dimension
            for target in ask.targets:
                self._check(target)
        blanks = () if ask.what == "batch" else ask.blanks  # those are names of the batch
        for expr in (*ask.wrt, *blanks):
            self._check(expr)
        for expr in ask.wrt:
            base = expr.base if isinstance(expr, Subscript) else expr
            if isinstance(base, Name) and not self._quantity(base.id):
                self._fail(
                    f"'{base.id}' is not a quantity of this sheet, so nothing can be "
                    "differentiated by it.",
                    base.span,
                )
        for _, value in ask.options:
            if value is not None:
                self._check(value)

    def _check_claim(self, claim: Claim) -> None:
        self.indices.update(loop.name for loop in claim.loops)
        ends, bound = _scopes(claim.loops, frozenset())
        for end, inside in ends:
            self._check(end, inside)
        for expr in (*claim.sides, *claim.conditions):
            self._check(expr, bound)
        if claim.tolerance is not None:
            self._check(claim.tolerance, bound)
        if claim.member is not None:
            for expr in (*claim.member.dims, *claim.member.bounds):
                self._check(expr, bound)

    def _unknown(self, node: Name) -> NoReturn:
        name, names = node.id, self.names
        known = [*names.declarations, *names.equations, *names.dimensions]
        hint = name_hint(name, known)
        if name in self.indices:
            self._fail(
                f"'{name}' is an index, and means nothing outside its own sum or claim.",
                node.span,
                hint="move it inside, or name an entry by its number",
            )
        if name in FUNCTIONS:
            hint = f"'{name}' is a function; write its argument in brackets, {name}(…)"
        elif not hint:
            hint = f"declare it with 'given {name} in …', or define it with '{name} = …'"
        self._fail(f"Unknown name '{name}'.", node.span, hint=hint)

    # the order of the equations

    def sort_equations(self) -> None:
        """Depth first, without recursion: a chain of equations may be thousands long."""
        names = self.names
        done: set[str] = set()
        for first in names.equations:
            if first in done:
                continue
            path: list[str] = [first]
            on_path = {first}
            waiting = [iter(names.uses[first])]
            while path:
                for used in waiting[-1]:
                    if used in on_path:
                        self._cycle(path[path.index(used) :])
                    if used in names.equations and used not in done:
                        path.append(used)
                        on_path.add(used)
                        waiting.append(iter(names.uses[used]))
                        break
                else:
                    waiting.pop()
                    finished = path.pop()
                    on_path.discard(finished)
                    done.add(finished)
                    names.order.append(finished)

    def _cycle(self, cycle: list[str]) -> NoReturn:
        equations = self.names.equations
        start = min(range(len(cycle)), key=lambda k: equations[cycle[k]].name_span.start)
        cycle = cycle[start:] + cycle[:start]
        first = equations[cycle[0]]
        use = next(n.span for n in free_names(first.expr) if n.id == cycle[(1) % len(cycle)])
        if len(cycle) == 1:
            self._fail(
                f"'{cycle[0]}' is defined by itself.",
                use,
                hint=f"give the new value a name of its own, such as {cycle[0]}_new",
            )
        shown = cycle if len(cycle) <= 8 else [*cycle[:4], "…", *cycle[-3:]]
        last = equations[cycle[-1]]
        back = next(n.span for n in free_names(last.expr) if n.id == cycle[0])
        self._fail(
            "These equations form a cycle: " + " needs ".join([*shown, cycle[0]]) + ".",
            use,
            hint="each name must be computable from names that do not need it",
            also=(f"the cycle closes here, where '{cycle[-1]}' needs '{cycle[0]}'", back),
        )

    def _fail(
        self,
        message: str,
        span: Span,
        hint: str = "",
        also: tuple[str, Span] | None = None,
        kind: type[NameProblem] | type[SheetSyntaxError] = NameProblem,
    ) -> NoReturn:
        raise kind(
            message,
            place=Place(self.source, span),
            hint=hint,
            also=None if also is None else (also[0], Place(self.source, also[1])),
        )


def _dimension_names(set_: SetExpr) -> Iterator[Name]:
    ends = set_.bounds if set_.kind == "range" else ()
    for expr in (*set_.dims, *ends):
        for node in walk(expr):
            if isinstance(node, Name):
                yield node
