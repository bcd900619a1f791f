"""A place in a list of tokens, and the errors that point at it.

Knows how to look, step and complain; it must not know any grammar.
"""

from __future__ import annotations

from typing import NoReturn

from backproof.errors import Place, SheetSyntaxError, Source, Span
from backproof.language.tokens import KEYWORDS, Tokens


class Cursor:
    """Walks over tokens. `at` is the index of the token that is looked at."""

    def __init__(self, source: Source, tokens: Tokens) -> None:
        self.source = source
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.starts = tokens.starts
        self.ends = tokens.ends
        self.at = 0
        self.depth = 0

    def span(self, index: int | None = None) -> Span:
        """The span of the token looked at, or of another one."""
        at = self.at if index is None else index
        return Span(self.starts[at], self.ends[at])

    def since(self, start: int) -> Span:
        """From an offset to the end of the token before this one."""
        return Span(start, self.ends[self.at - 1])

    def accept(self, kind: str) -> bool:
        """Step over the token if it is of this kind."""
        if self.kinds[self.at] == kind:
            self.at += 1
            return True
        return False

    def accept_word(self, word: str) -> bool:
        """Step over a name that is a word of the language only here, such as `wrt`."""
        if self.kinds[self.at] == "name" and self.texts[self.at] == word:
            self.at += 1
            return True
        return False

    def expect(self, kind: str, what: str, hint: str = "") -> None:
        """Step over a token of this kind, or fail with "Found …; expected *what*."."""
        if self.kinds[self.at] != kind:
            self.unexpected(what, hint)
        self.at += 1

    def name(self, what: str) -> tuple[str, Span]:
        """Step over a name; *what* says which name was expected."""
        if self.kinds[self.at] != "name":
            if self.kinds[self.at] in KEYWORDS:
                word = self.texts[self.at]
                self.fail(
                    f"'{word}' is a keyword of the sheet language; expected {what}.",
                    hint="choose another name",
                )
            self.unexpected(what)
        self.at += 1
        return self.texts[self.at - 1], self.span(self.at - 1)

    def at_end(self) -> bool:
        """Whether the statement ends here."""
        return self.kinds[self.at] in ("newline", "end")

    def found(self) -> str:
        """The token looked at, as an error names it."""
        if self.at_end():
            return "the end of the line"
        text = self.texts[self.at]
        return f"the quoted text {text}" if self.kinds[self.at] == "string" else f"'{text}'"

    def unexpected(self, what: str, hint: str = "") -> NoReturn:
        """Fail at the token looked at: "Found …; expected *what*."."""
        found = self.found()
        self.fail(f"Found {found}; expected {what}.", hint=hint)

    def fail(
        self,
        message: str,
        span: Span | None = None,
        hint: str = "",
        also: tuple[str, Span] | None = None,
    ) -> NoReturn:
        """Fail at a span, by default at the token looked at."""
        raise SheetSyntaxError(
            message,
            place=Place(self.source, span or self.span()),
            hint=hint,
            also=None if also is None else (also[0], Place(self.source, also[1])),
        )
