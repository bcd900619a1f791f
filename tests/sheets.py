"""Networks that several tests work on, and their models; what is expected stands in the tests."""

from __future__ import annotations

from backproof.calculus.model import Model, build_model
from backproof.calculus.points import Point, draw_points, on_kink
from backproof.errors import Source
from backproof.language.sheet import parse_sheet

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
AUTOENCODER = """\
given x in R[4]
learn W1 in R[3, 4], b1 in R[3]
learn W2 in R[4, 3], b2 in R[4]
z1 = W1 @ x + b1
a1 = sigmoid(z1)
z2 = W2 @ a1 + b2
a2 = sigmoid(z2)
L = sse(a2, x)
"""


def model_of(text: str) -> Model:
    return build_model(parse_sheet(Source("net.sheet", text)))


def point_of(model: Model, seed: int = 0) -> Point:
    """A point off every kink."""
    for point in draw_points(model, 8, seed):
        run = point.evaluator(model, exact=False)
        if not on_kink(run, model.definitions.values()):
            return point
    raise AssertionError("no point off the kinks")
