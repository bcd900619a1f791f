"""Reads the statements of a sheet, one after the other: tokens -> statements.

It checks how a statement is written; it must not know what other statements say (see `names`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NoReturn

from backproof.errors import Source, Span
from backproof.language.expressions import DEEPEST_TREE, RELATIONS
from backproof.language.functions import FUNCTIONS, nearest
from backproof.language.sets import SetReader
from backproof.language.syntax import (
    Apply,
    Ask,
    Assume,
    Claim,
    Declaration,
    Equation,
    Expr,
    Layout,
    Let,
    Name,
    Number,
    Round,
    SetExpr,
    Statement,
    Subscript,
    Vary,
)
from backproof.language.tokens import STATEMENT_WORDS, tokenize

# what -> (least targets, most targets or None, the words it understands)
ASKS: dict[str, tuple[int, int | None, tuple[str, ...]]] = {
    "shapes": (0, None, ()),
    "forward": (0, 0, ()),
    "value": (1, None, ()),
    "tree": (1, None, ("wrt",)),
    "gradient": (1, None, ("wrt",)),
    "step": (0, None, ("rate",)),
    "batch": (1, 1, ("rows", "columns", "samples", "shared")),
    "slow": (1, None, ()),
    "weights": (0, None, ()),
}
FORMS = ("match", "choice", "essay")
_MOST_DECIMALS = 50
_MOST_VALUES = 10_000


def read_statements(source: Source, start: int = 0, end: int | None = None) -> list[Statement]:
    """The statements of source.text[start:end], in the order written."""
    return list(StatementReader(source, tokenize(source, start, end)).statements())


def parse_expression(source: Source) -> Expr:
    """The one expression that is the whole source. Its names are not looked up."""
    reader = StatementReader(source, tokenize(source))
    expr = reader.comparison()
    reader.end_statement()
    reader.accept("newline")
    if reader.kinds[reader.at] != "end":
        reader.unexpected("the end of the text", "write one expression")
    reader.check_depth(expr)
    return expr


class StatementReader(SetReader):
    """Reads statements from where the cursor stands."""

    def statements(self) -> Iterator[Statement]:
        """Every statement up to the end."""
        readers: dict[str, Callable[[int], list[Statement]]] = {
            "given": self._declarations,
            "learn": self._declarations,
            "let": self._lets,
            "assume": self._assumes,
            "ask": self._ask,
            "claim": self._claim,
            "round": self._round,
            "layout": self._layout,
        }
        while self.kinds[self.at] != "end":
            if self.accept("newline"):
                continue
            first, start = self.at, self.starts[self.at]
            reader = readers.get(self.kinds[first])
            if reader is None:
                found = self._equation(start)
            else:
                self.at += 1
                if self.kinds[self.at] == "=":
                    word = self.texts[first]
                    self.fail(
                        f"'{word}' is a keyword of the sheet language and cannot be defined.",
                        self.span(first),
                        hint="choose another name",
                    )
                found = reader(start)
            self.end_statement()
            if self.at - first > DEEPEST_TREE:  # fewer tokens cannot make a deeper tree
                self._check_depths(found)
            yield from found

    def end_statement(self) -> None:
        """Fail unless the statement is complete here."""
        if not self.at_end():
            self.unfinished("an operator or the end of the line")

    def _check_depths(self, found: list[Statement]) -> None:
        for statement in found:
            for expr in expressions_of(statement):
                self.check_depth(expr)

    # given, learn, let, assume

    def _declarations(self, start: int) -> list[Statement]:
        role = self.texts[self.at - 1]
        found: list[Statement] = []
        while True:
            names = [self.name(f"a name to declare after '{role}'")]
            while self.accept(","):
                names.append(self.name("a name to declare"))
            if self.accept("in"):
                set_ = self.set_expr()
                value, file = self._value(names) if self.accept("=") else (None, None)
            elif self.accept("="):
                set_ = None
                value, file = self._value(names)
            else:
                self._no_set(role)
            for name, span in names:
                whole = Span(min(start, span.start), self.ends[self.at - 1])
                found.append(Declaration(role, name, set_, value, file, whole, span))
            if not self.accept(","):
                return found
            start = self.starts[self.at]

    def _no_set(self, role: str) -> NoReturn:
        hint = ""
        if self.kinds[self.at] == "name":
            hint = "names are separated by commas"
        elif self.kinds[self.at] == "[":
            hint = f"write {role} x in R[n]"
        elif self.at_end():
            hint = f"write {role} {self.texts[self.at - 1]} in R for a number, in R[n] for a column"
        self.unexpected("'in' and a set, or '=' and a value", hint)

    def _value(self, names: list[tuple[str, Span]]) -> tuple[Expr | None, str | None]:
        """The value after `=`: a literal, or `file("…")`."""
        if len(names) > 1:
            self.fail(
                "One value cannot be given to several names at once; found "
                f"{' and '.join(repr(name) for name, _ in names)} before '='.",
                names[0][1].to(names[-1][1]),
                hint="give each name its own value: a = 1, b = 1",
            )
        if self.kinds[self.at] != "name" or self.texts[self.at] != "file":
            return self.comparison(), None
        if self.kinds[self.at + 1] != "(":
            return self.comparison(), None
        self.at += 2
        if self.kinds[self.at] != "string":
            self.unexpected("the name of a file in quotes", 'write file("points.csv")')
        path = self.texts[self.at][1:-1]
        if not path.strip():
            self.fail("The name of the file is empty.", hint='write file("points.csv")')
        self.at += 1
        self.expect(")", "')' after the name of the file")
        return None, path

    def _lets(self, start: int) -> list[Statement]:
        found: list[Statement] = []
        while True:
            name, span = self.name("the name of a dimension after 'let'")
            hint = f"write given {name} in …" if self.kinds[self.at] == "in" else ""
            self.expect("=", "'=' and a whole number", hint)
            value = self.arithmetic()
            self._check_dimension(value, f"let {name} = 3")
            whole = Span(min(start, span.start), self.ends[self.at - 1])
            found.append(Let(name, value, whole, span))
            if not self.accept(","):
                return found
            start = self.starts[self.at]

    def _assumes(self, start: int) -> list[Statement]:
        found: list[Statement] = []
        while True:
            links = self.conditions()
            whole = Span(start, self.ends[self.at - 1])
            found.extend(Assume(link, whole) for link in links)
            if not self.accept(","):
                return found
            start = self.starts[self.at]

    # equations

    def _equation(self, start: int) -> list[Statement]:
        if self.kinds[self.at] != "name" or self.kinds[self.at + 1] != "=":
            if self.texts[self.at] == "vary" and self.kinds[self.at + 1] == "name":
                return self._vary(start)
            self._no_statement()
        name, name_span = self.texts[self.at], self.span()
        self.at += 2
        if self.texts[self.at] == "file" and self.kinds[self.at + 1 : self.at + 3] == [
            "(",
            "string",
        ]:
            self.fail(
                "A file gives its value in a declaration; found it in an equation.",
                hint=f"write given {name} = file({self.texts[self.at + 2]}), or with the set: "
                f"given {name} in R[n] = file({self.texts[self.at + 2]})",
            )
        expr = self.comparison()
        return [Equation(name, expr, self.since(start), name_span)]

    def _no_statement(self) -> NoReturn:
        """Say what is wrong with a line that begins like no statement."""
        kind, following = self.kinds[self.at], self.kinds[self.at + 1]
        text = self.texts[self.at]
        expected = "expected a statement: given, learn, let, assume, ask, claim, or NAME = EXPR"
        if kind != "name":
            self.fail(f"Found {self.found()}; {expected}.")
        if following == "in" or following == ",":
            self.fail(
                f"Found {text!r} without a role; {expected}.",
                hint=f"write 'given {text} in …' for data, 'learn {text} in …' for a parameter",
            )
        if following in ("name", "number"):
            word = nearest(text, sorted(STATEMENT_WORDS))
            self.fail(
                f"'{text}' begins no statement; {expected}.",
                hint=f"did you mean '{word}'?" if word else "",
            )
        start = self.starts[self.at]
        if following == "(" and text not in FUNCTIONS:
            self.postfix()  # an unknown function is the better thing to say
        self._only_names_are_defined(start, expected)

    def _only_names_are_defined(self, start: int, expected: str) -> NoReturn:
        self.comparison()
        left = self.since(start)
        if self.kinds[self.at] == "=":
            self.fail(
                "Only a name can stand on the left of '='; found an expression.",
                left,
                hint="define a name, or write 'claim … == …' to compare",
            )
        self.fail(
            f"Found an expression that is neither defined, asked nor claimed; {expected}.",
            left,
            hint="write 'NAME = …', 'ask value …' or 'claim … == …'",
        )

    # ask

    def _ask(self, start: int) -> list[Statement]:
        text_start = self.starts[self.at]
        if self.kinds[self.at] != "name" or self.texts[self.at] not in ASKS:
            self._unknown_ask()
        what = self.texts[self.at]
        self.at += 1
        least, most, words = ASKS[what]
        targets: list[Expr] = []
        if most != 0 and not self.at_end() and not self._at_word(words, least > 0):
            targets = self._list(self.arithmetic)
        if len(targets) < least:
            self.unexpected(f"what 'ask {what}' asks about", _ASK_HINTS.get(what, ""))
        if most is not None and len(targets) > most:
            self.fail(
                f"'ask {what}' asks about one thing at a time.",
                targets[1].span,
                hint="write one ask a line",
            )
        wrt: list[Expr] = []
        options: list[tuple[str, Expr | None]] = []
        blanks: list[Expr] = []
        while not blanks and self._at_word(words, False):
            word = self.texts[self.at]
            if word not in (*words, "blank"):
                break  # `as` and `marks`, which come last
            self.at += 1
            if word == "wrt":
                wrt.extend(self._list(self._variable))
            elif word == "blank":
                blanks = self._list(self.arithmetic)
            elif word == "shared":
                options.extend((word, name) for name in self._list(self._variable))
            else:
                valued = word in ("rate", "samples")
                options.append((word, self.arithmetic() if valued else None))
        text = self.source.text[text_start : self.ends[self.at - 1]]
        form, marks = self._paper_words()
        self._end_ask(what, words)
        return [
            Ask(what, tuple(targets), tuple(wrt), tuple(options), tuple(blanks), text,
                self.since(start), form, marks)
        ]  # fmt: skip

    def _paper_words(self) -> tuple[str, Number | None]:
        """`as match marks 4`: how a paper puts the question, and what it is worth."""
        form, marks = "open", None
        if self._at_paper_word("as"):
            self.at += 1
            form = self.texts[self.at]
            if form not in FORMS:
                self.unexpected("'match', 'choice' or 'essay' after 'as'")
            self.at += 1
        if self._at_paper_word("marks"):
            self.at += 1
            number = self.arithmetic()
            if not isinstance(number, Number) or not 0 < number.value <= 1000:
                self.fail(
                    "Marks are a number above 0, at most 1000.", number.span, hint="write marks 3"
                )
            marks = number
        return form, marks

    def _at_paper_word(self, word: str) -> bool:
        if self.kinds[self.at] != "name" or self.texts[self.at] != word:
            return False
        return self.kinds[self.at + 1] == ("number" if word == "marks" else "name")

    def _unknown_ask(self) -> NoReturn:
        known = ", ".join(ASKS)
        hint = ""
        if self.kinds[self.at] == "name":
            close = nearest(self.texts[self.at], ASKS)
            hint = f"did you mean 'ask {close}'?" if close else ""
        self.unexpected(f"one of the asks: {known}", hint)

    def _end_ask(self, what: str, words: tuple[str, ...]) -> None:
        if self.at_end():
            return
        text = self.texts[self.at]
        if self.kinds[self.at] == "name" and text in (*words, "blank"):
            self.at += 1
            self.unexpected(f"what follows '{text}'", _WORD_HINTS.get(text, ""))
        known = ", ".join(f"'{word}'" for word in (*words, "blank"))
        self.unexpected(f"{known} or the end of the line after 'ask {what}'")

    def _at_word(self, words: tuple[str, ...], needs_target: bool) -> bool:
        """Whether a word of the ask stands here, rather than a quantity of that name."""
        if self.kinds[self.at] != "name":
            return False
        word, following = self.texts[self.at], self.kinds[self.at + 1]
        if self._at_paper_word("as") or self._at_paper_word("marks"):
            return not needs_target
        if word in ("rows", "columns"):
            return word in words and not needs_target
        if word != "blank" and word not in words:
            return False
        return following in ("name", "number", "(", "[", "-", ".") and not (
            needs_target and following != "name"
        )

    def _list(self, read: Callable[[], Expr]) -> list[Expr]:
        items = [read()]
        while self.accept(","):
            items.append(read())
        return items

    def _variable(self) -> Expr:
        """A name, or entries of one: what one may differentiate by."""
        start = self.at
        expr = self.postfix()
        base = expr.base if isinstance(expr, Subscript) else expr
        if not isinstance(base, Name):
            self.at = start
            self.unexpected("a name, or entries of one, after 'wrt'")
        return expr

    # vary

    def _vary(self, start: int) -> list[Statement]:
        """`vary W, b in {-0.5..0.5 step 0.1}`, `vary x integer 1..5`, `vary h in {3, 4}`."""
        self.at += 1
        names = [self.name("a name to vary")]
        while self.accept(","):
            names.append(self.name("a name to vary"))
        choices: list[Fraction] = []
        bounds: tuple[Fraction, Fraction, Fraction] | None = None
        example = "write vary W in {-0.5..0.5 step 0.1}, {3, 4}, or vary x integer 1..5"
        if self.accept_word("integer"):
            bounds = self._vary_range(self._vary_number(), Fraction(1))
        elif self.accept("in"):
            self.expect("{", "'{' and the values", example)
            first = self._vary_number()
            if self.kinds[self.at] == "..":
                bounds = self._vary_range(first, None)
            else:
                choices.append(first)
                while self.accept(","):
                    choices.append(self._vary_number())
            self.expect("}", "',' or '}' after the values")
        else:
            self.unexpected("'in' and the values in braces, or 'integer' and a range", example)
        return [Vary(name, tuple(choices), bounds, self.since(start), span) for name, span in names]

    def _vary_number(self) -> Fraction:
        expr = self.signed_power()
        sign = 1
        if isinstance(expr, Apply) and expr.op == "neg":
            sign, expr = -1, expr.args[0]
        if not isinstance(expr, Number):
            self.fail("The values of 'vary' are numbers.", expr.span)
        return sign * expr.value

    def _vary_range(
        self, low: Fraction, step: Fraction | None
    ) -> tuple[Fraction, Fraction, Fraction]:
        at = self.at
        self.expect("..", "'..' and the highest value")
        high = self._vary_number()
        if step is None:
            step = self._vary_number() if self.accept_word("step") else Fraction(1)
        count = (high - low) / step if step > 0 else Fraction(-1)
        if not 0 <= count <= _MOST_VALUES:
            self.fail(
                f"This range has no values, or more than {_MOST_VALUES:,}.",
                self.span(at),
                hint="write the lowest value first and a step above zero",
            )
        return low, high, step

    # claim, round, layout

    def _claim(self, start: int) -> list[Statement]:
        text_start = self.starts[self.at]
        sides = [self.arithmetic()]
        relations: list[str] = []
        member: SetExpr | None = None
        tolerance: Expr | None = None
        while self.kinds[self.at] in RELATIONS:
            relations.append(RELATIONS[self.kinds[self.at]])
            self.at += 1
            sides.append(self.arithmetic())
        if not relations:
            member = self._member()
        elif self.accept("±"):
            tolerance = self.arithmetic()
        loops, conditions = self.loops()
        if not self.at_end():
            self._end_claim()
        text_span = self.since(text_start)
        text = self.source.slice(text_span)
        return [
            Claim(tuple(sides), tuple(relations), member, tolerance, loops, conditions, text,
                  self.since(start), text_span)
        ]  # fmt: skip

    def _member(self) -> SetExpr:
        if not self.accept("in"):
            if self.at_end() or self.kinds[self.at] in ("=", "±", "for", ","):
                hint = "write == to compare" if self.kinds[self.at] == "=" else ""
                self.unexpected("'==' or another comparison, or 'in' and a set", hint)
            self.unfinished("an operator, or a comparison such as '=='")
        return self.set_expr()

    def _end_claim(self) -> NoReturn:
        hint = ""
        if self.kinds[self.at] == ",":
            hint = "write one claim a line"
        elif self.kinds[self.at] == "in":
            hint = "'in' stands after one expression, without a comparison"
        if hint:
            self.unexpected("an operator, a comparison, 'for' or the end of the line", hint)
        self.unfinished("an operator, a comparison, 'for' or the end of the line")

    def _round(self, start: int) -> list[Statement]:
        decimals = self.texts[self.at]
        if self.kinds[self.at] != "number" or not decimals.isdigit():
            self.unexpected("a whole number of decimals after 'round'", "write round 2 each")
        if len(decimals) > 3 or int(decimals) > _MOST_DECIMALS:
            self.fail(f"Numbers can be rounded to at most {_MOST_DECIMALS} decimals.")
        self.at += 1
        each = self.accept_word("each")
        if not each and not self.accept_word("end") and not self.at_end():
            self.unexpected("'each', 'end' or the end of the line", "write round 2 each")
        return [Round(int(decimals), each, self.since(start))]

    def _layout(self, start: int) -> list[Statement]:
        denominator = self.accept_word("denominator")
        if not denominator and not self.accept_word("numerator"):
            self.unexpected("'denominator' or 'numerator' after 'layout'")
        return [Layout(denominator, self.since(start))]


def expressions_of(statement: Statement) -> Iterator[Expr]:
    """Every expression that stands in a statement, loops and sets included."""
    match statement:
        case Declaration(set=set_, value=value):
            if set_ is not None:
                yield from (*set_.dims, *set_.bounds)
            if value is not None:
                yield value
        case Let(value=value):
            yield value
        case Assume(condition=condition):
            yield condition
        case Equation(expr=expr):
            yield expr
        case Ask(targets=targets, wrt=wrt, options=options, blanks=blanks):
            yield from (*targets, *wrt, *blanks)
            yield from (value for _, value in options if value is not None)
        case Claim():
            yield from (*statement.sides, *statement.conditions)
            if statement.tolerance is not None:
                yield statement.tolerance
            if statement.member is not None:
                yield from (*statement.member.dims, *statement.member.bounds)
            for loop in statement.loops:
                yield from (loop.lower, loop.upper)
        case _:
            return


_ASK_HINTS = {
    "value": "write ask value L",
    "tree": "write ask tree L",
    "gradient": "write ask gradient L wrt W1",
    "batch": "write ask batch b",
    "slow": "write ask slow W1",
}
_WORD_HINTS = {
    "wrt": "write ask gradient L wrt W1",
    "rate": "write ask step W rate 0.01",
    "blank": "write blank and the names to leave out",
    "samples": "write ask batch b samples 1000",
    "shared": "write shared and the givens that are the same for every sample",
}
