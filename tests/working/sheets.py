"""Small helpers for the tests of workings: a model from text, steps by label."""

from __future__ import annotations

from backproof.calculus.model import Model, build_model
from backproof.errors import Source
from backproof.language import syntax as ast
from backproof.language.sheet import parse_sheet
from backproof.language.statements import parse_expression
from backproof.working.steps import Step, Working


def model(text: str) -> Model:
    return build_model(parse_sheet(Source("net.sheet", text)))


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


SIAMESE = """\
given xA, xB in R[4]
given y in {0, 1}
learn W1 in R[3, 4], b1 in R[3]
learn W2 in R[1, 3], b2 in R
zA1 = W1 @ xA + b1
aA1 = relu(zA1)
zB1 = W1 @ xB + b1
aB1 = relu(zB1)
a1 = aA1 - aB1
z2 = W2 @ a1 + b2
a2 = sigmoid(z2)
L = -(y*log(a2) + (1 - y)*log(1 - a2))
"""
POINTS = """\
given X = [[2, 5], [3, 1], [1, 1]]
given Y = [[0, 1], [1, 0], [1, 0]]
learn W = [[0.1, -0.4], [0.5, -0.3]]
learn b = [0, 0]
"""
