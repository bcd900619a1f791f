"""Reads expressions: tokens -> syntax tree.

Precedence is Python's. Recursion happens in brackets only (and in sums written with Σ), and is
counted; chains of signs, powers and sums are loops. It must not know which names exist.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import NoReturn

from backproof.errors import LimitExceeded, NameProblem, Place, Span
from backproof.language.cursor import Cursor
from backproof.language.functions import (
    DERIVATIVES,
    FUNCTIONS,
    PAPER_FUNCTIONS,
    PAPER_SUMS,
    WITH_INDEX,
    Signature,
    name_hint,
)
from backproof.language.syntax import (
    Apply,
    Array,
    Comprehension,
    Expr,
    Loop,
    Name,
    Number,
    Slice,
    Subscript,
    Text,
    TupleExpr,
    children,
)

DEEPEST_NESTING = 100  # brackets within brackets
DEEPEST_TREE = 200  # what recursion over the tree, and comparing two trees, can bear
MOST_DIGITS = 400  # also the largest exponent

SUMS = {"+": "add", "-": "sub"}
PRODUCTS = {"*": "mul", "@": "matmul", "/": "div", "×": "mul"}
PRODUCTS_IN_SETS = {"*": "mul", "@": "matmul", "/": "div"}  # there × stands between dimensions
RELATIONS = {"==": "eq", "!=": "ne", "<=": "le", ">=": "ge", "<": "lt", ">": "gt"}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


class ExpressionReader(Cursor):
    """Reads expressions from where the cursor stands."""

    def comparison(self) -> Expr:
        """An expression that may be a comparison: `a + b`, `z > 0`."""
        begin = self.starts[self.at]
        left = self.arithmetic()
        relation = RELATIONS.get(self.kinds[self.at])
        if relation is None:
            return left
        sign = self.span()
        self.at += 1
        right = self.arithmetic()
        if self.kinds[self.at] in RELATIONS:
            self.fail(
                "A comparison inside an expression has two sides; found a third.",
                hint="compare two sides at a time",
            )
        return Apply(relation, (left, right), (), self.since(begin), sign)

    def arithmetic(self, products: dict[str, str] = PRODUCTS) -> Expr:
        """Sums of products of signed powers. Both levels are one loop, to save a frame a level."""
        self._enter()
        kinds = self.kinds
        begin = start = self.starts[self.at]
        total: Expr | None = None
        joint, joint_at = "", 0
        term = self.signed_power()
        while True:
            kind = kinds[self.at]
            if kind in products:
                at = self.at
                self.at += 1
                right = self.signed_power()
                op = products[kind]
                term = Apply(op, (term, right), (), self.since(start), self.span(at))
                continue
            if total is not None:
                term = Apply(joint, (total, term), (), self.since(begin), self.span(joint_at))
            if kind not in SUMS:
                break
            total, joint, joint_at = term, SUMS[kind], self.at
            self.at += 1
            start = self.starts[self.at]
            term = self.signed_power()
        self.depth -= 1
        return term

    def product(self) -> Expr:
        """A product without a sum: what a `Σ(i=1..N)` in front of it extends over."""
        self._enter()
        start = self.starts[self.at]
        term = self.signed_power()
        while self.kinds[self.at] in PRODUCTS:
            at = self.at
            self.at += 1
            right = self.signed_power()
            op = PRODUCTS[self.kinds[at]]
            term = Apply(op, (term, right), (), self.since(start), self.span(at))
        self.depth -= 1
        return term

    def signed_power(self) -> Expr:
        """`-x**-y**z`: a chain of powers, to be folded from the right."""
        signs = self._signs()
        start = self.starts[self.at]
        operand = self.postfix()
        if self.kinds[self.at] != "**":
            return self._negated(operand, signs)
        chain = [(signs, start, operand, 0)]
        while self.kinds[self.at] == "**":
            at = self.at
            self.at += 1
            signs = self._signs()
            start = self.starts[self.at]
            chain.append((signs, start, self.postfix(), at))
        signs, _, operand, at = chain.pop()
        power = self._negated(operand, signs)
        while chain:
            signs, start, operand, before = chain.pop()
            power = Apply("pow", (operand, power), (), self.since(start), self.span(at))
            power = self._negated(power, signs)
            at = before
        return power

    def postfix(self) -> Expr:
        """An atom with what binds tightest behind it: `.T`, an index, a superscript."""
        start = self.starts[self.at]
        node = self._atom()
        while True:
            kind = self.kinds[self.at]
            if kind == ".T":
                self.at += 1
                sign = self.span(self.at - 1)
                node = Apply("transpose", (node,), (), self.since(start), sign)
            elif kind == "[":
                node = self._subscript(node, start)
            elif kind == "super":
                digits = self.texts[self.at].translate(_SUPERSCRIPTS)
                exponent = Number(self._exact(digits), digits, self.span())
                self.at += 1
                node = Apply("pow", (node, exponent), (), self.since(start), exponent.span)
            elif kind == "(":
                self._product_without_sign()
            else:
                return node

    def loops(self) -> tuple[tuple[Loop, ...], tuple[Expr, ...]]:
        """`for i in 1..n for j in 1..i if i != j`: the loops and the conditions."""
        loops: list[Loop] = []
        conditions: list[Expr] = []
        while True:
            if self.accept("for"):
                start = self.starts[self.at - 1]
                name, _ = self.name("the name of an index after 'for'")
                self.expect("in", "'in' and a range, such as 'for i in 1..N'")
                lower, upper = self.range_ends()
                loops.append(Loop(name, lower, upper, self.since(start)))
            elif loops and self.accept("if"):
                conditions.extend(self.conditions())
            else:
                return tuple(loops), tuple(conditions)

    def range_ends(self) -> tuple[Expr, Expr]:
        """The two ends of `1..N`."""
        lower = self.arithmetic()
        self.expect("..", "'..' and the end of the range", "a range is written 1..N")
        return lower, self.arithmetic()

    def conditions(self) -> list[Expr]:
        """A comparison, or a chain of them as its links: `a < b < c` is `a < b` and `b < c`."""
        begin = self.starts[self.at]
        left = self.arithmetic()
        links: list[Expr] = []
        while self.kinds[self.at] in RELATIONS:
            at = self.at
            self.at += 1
            start = self.starts[self.at]
            right = self.arithmetic()
            op = RELATIONS[self.kinds[at]]
            links.append(Apply(op, (left, right), (), self.since(begin), self.span(at)))
            left, begin = right, start
        if not links:
            self.unexpected(
                "a comparison, such as i != k",
                "write == to compare" if self.kinds[self.at] == "=" else "",
            )
        return links

    def check_depth(self, expr: Expr) -> None:
        """Refuse a tree that is too deep for those who walk over it."""
        stack = [(expr, 1)]
        while stack:
            node, depth = stack.pop()
            if depth > DEEPEST_TREE:
                raise LimitExceeded(
                    f"This expression is more than {DEEPEST_TREE} operations deep.",
                    place=Place(self.source, Span(expr.span.start, expr.span.start + 1)),
                    hint="give parts of it their own names, in equations of their own",
                )
            stack.extend((child, depth + 1) for child in children(node))

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST_NESTING:
            raise LimitExceeded(
                f"Brackets are nested more than {DEEPEST_NESTING} deep here.",
                place=Place(self.source, self.span()),
                hint="give inner parts their own names, in equations of their own",
            )

    def _signs(self) -> list[int]:
        """The token indices of the minus signs that stand here; plus signs change nothing."""
        signs: list[int] = []
        while self.kinds[self.at] in ("-", "+"):
            if self.kinds[self.at] == "-":
                signs.append(self.at)
            self.at += 1
        return signs

    def _negated(self, expr: Expr, signs: list[int]) -> Expr:
        for at in reversed(signs):
            expr = Apply("neg", (expr,), (), self.since(self.starts[at]), self.span(at))
        return expr

    def _atom(self) -> Expr:
        at = self.at
        kind = self.kinds[at]
        if kind == "name":
            if self.kinds[at + 1] == "(":
                return self._call()
            self.at += 1
            return Name(self.texts[at], self.span(at))
        if kind == "number":
            self.at += 1
            text = self.texts[at]
            return Number(self._exact(text), text, self.span(at))
        if kind == "(":
            return self._brackets()
        if kind == "[":
            return self._array()
        self._no_operand()

    def _no_operand(self) -> NoReturn:
        kind, text = self.kinds[self.at], self.texts[self.at]
        if kind == "string":
            self.fail(
                'A quoted text may stand in einsum("…", …) and file("…") only.',
                hint="write names without quotes"
                if text[0] == '"'
                else "a transpose is written .T",
            )
        hint = ""
        before = self.kinds[self.at - 1] if self.at else ""
        if (kind == "=" and before in RELATIONS) or (kind == "/" and before == "/"):
            hint = f"'{before}' already stands before it"
        elif kind == "{":
            hint = "a matrix is written [[1, 2], [3, 4]]"
        elif kind in RELATIONS and before == "=":
            hint = "write == to compare, = to define"
        if kind in ("for", "if", "in") or self.texts[self.at] in ("given", "learn", "let"):
            self.unexpected("a name, a number or a bracket", f"'{text}' is a keyword")
        self.unexpected("a name, a number or a bracket", hint)

    def _product_without_sign(self) -> NoReturn:
        self.fail(
            "Found '(' directly after an expression; expected an operator between them.",
            hint="write * or @ between the factors of a product",
        )

    def _exact(self, text: str) -> Fraction:
        value = _fraction(text)
        if value is None:
            raise LimitExceeded(
                f"This number has more than {MOST_DIGITS} digits.",
                place=Place(self.source, self.span(self.at - 1)),
            )
        return value

    def _brackets(self) -> Expr:
        """`(expr)`, or a tuple: `()`, `(a,)`, `(a, b)`."""
        start = self.starts[self.at]
        self.at += 1
        if self.accept(")"):
            return TupleExpr((), self.since(start))
        first = self.comparison()
        if self.accept(")"):
            return first
        items = [first]
        while self.accept(","):
            if self.kinds[self.at] == ")":
                break
            items.append(self.comparison())
        self._end_bracket(")")
        return TupleExpr(tuple(items), self.since(start))

    def _array(self) -> Array:
        """`[a, b]` or `[[a, b], [c, d]]`."""
        start = self.starts[self.at]
        self.at += 1
        if self.kinds[self.at] == "]":
            self.fail("A list of values needs at least one entry.", Span(start, self.ends[self.at]))
        items = [self.comparison()]
        while self.accept(","):
            if self.kinds[self.at] == "]":
                break
            items.append(self.comparison())
        self._end_bracket("]")
        array = Array(tuple(items), self.since(start))
        self._check_rectangular(array)
        return array

    def _check_rectangular(self, array: Array) -> None:
        first = array.items[0]
        wanted = _lengths(first)
        for number, item in enumerate(array.items[1:], start=2):
            lengths = _lengths(item)
            if lengths != wanted:
                self.fail(
                    "The rows of a matrix have the same number of entries; "
                    f"row 1 {_entries(wanted)}, row {number} {_entries(lengths)}.",
                    item.span,
                    also=("row 1 is here", first.span),
                    hint="make all rows equally long",
                )

    def _subscript(self, base: Expr, start: int) -> Subscript:
        """`base[items]`."""
        self.at += 1
        if self.kinds[self.at] == "]":
            self.fail("An index is missing between '[' and ']'.", hint="write x[1], X[1, :]")
        items: list[Expr | Slice] = [self._index()]
        while self.accept(","):
            items.append(self._index())
        self._end_bracket("]")
        return Subscript(base, tuple(items), self.since(start))

    def _index(self) -> Expr | Slice:
        """An entry `i`, or a range `2:4`, `2:`, `:4`, `:`."""
        start = self.starts[self.at]
        lower: Expr | None = None
        if self.kinds[self.at] != ":":
            lower = self.arithmetic()
            if not self.accept(":"):
                if self.kinds[self.at] == "..":
                    self.unexpected("':' between the ends of a range", "write x[2:4]")
                return lower
        else:
            self.at += 1
        upper = None if self.kinds[self.at] in (",", "]") else self.arithmetic()
        if self.kinds[self.at] == ":":
            self.fail(
                "An index range has a first and a last entry; steps are not part of the language.",
                hint="write x[2:4]",
            )
        return Slice(lower, upper, self.since(start))

    def _end_bracket(self, kind: str) -> None:
        if self.kinds[self.at] == kind:
            self.at += 1
            return
        self.unfinished(f"an operator, ',' or '{kind}'")

    def unfinished(self, what: str) -> NoReturn:
        """Fail after a complete expression, where neither an operator nor *what* follows."""
        kind, text = self.kinds[self.at], self.texts[self.at]
        hint = ""
        if kind in ("name", "number", "[", "("):
            hint = "write * or @ between the factors of a product"
        elif kind == "=":
            hint = "write == to compare"
        elif kind == "string" and text.startswith("'"):
            hint = "a transpose is written .T"
        elif kind == "±":
            hint = "a tolerance may stand only at the end of a claim"
        elif kind == "for":
            hint = "an index is written inside sum(…), mean(…), prod(…), max(…) or min(…)"
        self.unexpected(what, hint)

    def _call(self) -> Expr:
        """`f(a, b, axis=1)`, `sum(… for i in 1..N)`, `Σ(i=1..N) …`."""
        start, name, name_span = self.starts[self.at], self.texts[self.at], self.span()
        kinds = self.kinds[self.at + 1 : self.at + 4]
        if name in PAPER_SUMS and kinds == ["(", "name", "="]:
            return self._paper_sum(PAPER_SUMS[name], start)
        op = PAPER_FUNCTIONS.get(name, name)
        signature = FUNCTIONS.get(op)
        if signature is None:
            raise self._unknown_function(name, name_span)
        self.at += 2
        args: list[Expr] = []
        options: list[tuple[str, Expr]] = []
        while self.kinds[self.at] != ")":
            if self.kinds[self.at] == "name" and self.kinds[self.at + 1] == "=":
                options.append(self._option(op, signature, options))
            else:
                if options:
                    self.fail(
                        f"An argument of '{name}' stands after an option.",
                        hint="write options such as axis=1 last",
                    )
                args.append(self._argument(op, first=not args))
            if self.kinds[self.at] == "for":
                return self._comprehension(op, args, options, start)
            if not self.accept(","):
                break
        self._end_bracket(")")
        span = self.since(start)
        self._check_call(op, signature, args, span)
        return Apply(op, tuple(args), tuple(options), span, name_span)

    def _argument(self, op: str, first: bool) -> Expr:
        if op == "einsum" and first:
            if self.kinds[self.at] != "string":
                self.unexpected('the quoted indices of einsum, such as "ij,jk->ik"')
            self.at += 1
            return Text(self.texts[self.at - 1][1:-1], self.span(self.at - 1))
        return self.comparison()

    def _option(
        self, op: str, signature: Signature, before: list[tuple[str, Expr]]
    ) -> tuple[str, Expr]:
        option = self.texts[self.at]
        if option not in signature.options:
            known = " and ".join(f"'{o}'" for o in signature.options)
            self.fail(
                f"'{op}' has no option '{option}'.",
                hint=f"its options: {known}" if known else f"'{op}' takes no options",
            )
        if any(option == name for name, _ in before):
            self.fail(f"The option '{option}' is written twice.", hint="keep one of the two")
        self.at += 2
        return option, self.arithmetic()

    def _comprehension(
        self, op: str, args: list[Expr], options: list[tuple[str, Expr]], start: int
    ) -> Comprehension:
        if op not in WITH_INDEX or len(args) != 1 or options:
            self.fail(
                f"An index with 'for' cannot stand in this call of '{op}'.",
                hint="it stands after the one argument of sum, mean, prod, max or min",
            )
        loops, conditions = self.loops()
        self._end_bracket(")")
        return Comprehension(op, args[0], loops, conditions, self.since(start))

    def _paper_sum(self, kind: str, start: int) -> Comprehension:
        """`Σ(i=1..N, j=1..M, i != j) body`: the body is the product that follows."""
        self.at += 2
        loops: list[Loop] = []
        conditions: list[Expr] = []
        while True:
            at = self.at
            if self.kinds[at] == "name" and self.kinds[at + 1] == "=":
                self.at += 2
                lower, upper = self.range_ends()
                loops.append(Loop(self.texts[at], lower, upper, self.since(self.starts[at])))
            else:
                conditions.extend(self.conditions())
            if not self.accept(","):
                break
        self._end_bracket(")")
        body = self.product()
        return Comprehension(kind, body, tuple(loops), tuple(conditions), self.since(start))

    def _check_call(self, op: str, signature: Signature, args: list[Expr], span: Span) -> None:
        count = len(args)
        if count < signature.least or (signature.most is not None and count > signature.most):
            self.fail(f"'{op}' takes {signature.counts()}; found {count or 'none'}.", span)
        if op in DERIVATIVES:
            variable = args[1]
            base = variable.base if isinstance(variable, Subscript) else variable
            if not isinstance(base, Name):
                self.fail(
                    f"The second argument of '{op}' is a name, or entries of one; "
                    "found another expression.",
                    variable.span,
                    hint="give the expression a name in an equation of its own",
                )

    def _unknown_function(self, name: str, span: Span) -> NameProblem:
        hint = name_hint(name, FUNCTIONS)
        if name in PAPER_SUMS:
            hint = f"write {name}(i=1..N) y[i], or {PAPER_SUMS[name]}(y)"
        return NameProblem(
            f"'{name}' is not a function of the sheet language.",
            place=Place(self.source, span),
            hint=hint or "a product of a name and a bracket is written with * or @",
        )


@lru_cache(maxsize=4096)
def _fraction(text: str) -> Fraction | None:
    """The exact value of a literal; None where it would be too large to carry."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, decimals = mantissa.partition(".")
    if len(whole) + len(decimals) > MOST_DIGITS or len(exponent) > 5:
        return None
    shift = int(exponent or 0) - len(decimals)
    if abs(shift) > MOST_DIGITS:
        return None
    digits = int(whole + decimals)
    return Fraction(digits * 10**shift) if shift >= 0 else Fraction(digits, 10**-shift)


def _lengths(item: Expr) -> tuple[int, ...]:
    """How long the nested lists of a literal are, from the outside in."""
    lengths: list[int] = []
    while isinstance(item, Array):
        lengths.append(len(item.items))
        item = item.items[0]
    return tuple(lengths)


def _entries(lengths: tuple[int, ...]) -> str:
    if not lengths:
        return "is an entry without brackets"
    if len(lengths) > 1:
        return f"has {' × '.join(map(str, lengths))} entries"
    return f"has {lengths[0]} entr{'y' if lengths[0] == 1 else 'ies'}"
