"""Small helpers for the tests of workings: a model from text, steps by label."""

from __future__ import annotations

from tests.sheets import AUTOENCODER, SIAMESE
from tests.sheets import model_of as model

from backproof.errors import Source
from backproof.language import syntax as ast
from backproof.language.statements import parse_expression
from backproof.working.steps import Step, Working

__all__ = ["AUTOENCODER", "POINTS", "SIAMESE", "expr", "lines", "model", "result", "value"]


def expr(text: str) -> ast.Expr:
    return parse_expression(Source("ask", text))


def lines(working: Working) -> list[str]:
    """Every line as text, as deep as it stands."""
    return [f"{'  ' * s.depth}{line}" for s in working.steps for line in s.text.split("\n")]


def result(working: Working, label: str) -> Step:
    """The last step with a value under this label."""
    return [s for s in working.steps if s.label == label and s.value is not None][-1]


def value(working: Working, label: str) -> object:
    """That step's value with plain floats."""

    def plain(x: object) -> object:
        return [plain(i) for i in x] if isinstance(x, list) else float(str(x))

    return plain(result(working, label).value)


POINTS = """\
given X = [[2, 5], [3, 1], [1, 1]]
given Y = [[0, 1], [1, 0], [1, 0]]
learn W = [[0.1, -0.4], [0.5, -0.3]]
learn b = [0, 0]
"""
