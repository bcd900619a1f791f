"""What the tests of the engines share: a point of a sheet, and the evaluator's answer there."""

from __future__ import annotations

from typing import Any

import numpy as np

from backproof.calculus.model import Model, build_model
from backproof.calculus.points import Point, draw_points, on_kink
from backproof.engine.compiled import compile_gradient
from backproof.errors import Source
from backproof.language.sheet import parse_sheet

SIAMESE = """
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


def model_of(text: str) -> Model:
    return build_model(parse_sheet(Source("network.sheet", text)))


def point_of(model: Model, seed: int = 0) -> Point:
    """A point off every kink."""
    for point in draw_points(model, 8, seed):
        run = point.evaluator(model, exact=False)
        if not on_kink(run, model.definitions.values()):
            return point
    raise AssertionError("no point off the kinks")


def same(ours: Any, theirs: Any, said: str = "", tight: float = 1e-7) -> None:
    theirs = np.asarray(theirs, dtype=float)
    ours = np.asarray(ours, dtype=float).reshape(theirs.shape)
    scale = max(1.0, float(np.abs(theirs).max(initial=0)))
    np.testing.assert_allclose(ours, theirs, rtol=tight, atol=tight * 1e-2 * scale, err_msg=said)


def agrees(text: str, engine: str, seed: int = 0, dtype: str = "float64", **how: Any) -> None:
    """The value and every gradient of L on an engine, against the deriver and the evaluator."""
    with np.errstate(all="ignore"):
        model = model_of(text)
        point = point_of(model, seed)
        f = compile_gradient(model, "L", engine=engine, dtype=dtype, **how)
        values = {n: point.floats[n].astype(dtype) for n in f.names}
        value, gradients = f(**values)
        run = point.evaluator(model, exact=False)
        tight = 1e-7 if dtype == "float64" else 2e-3
        loss = model.leaves["L"]
        same(value, run.value(loss), f"{text}\n{f.source}", tight)
        assert set(gradients) == set(model.learned)
        for name, g in gradients.items():
            node = model.deriver.gradient(loss, name)
            said = f"{name}\n{text}\n{f.source}"
            same(g, run.value(node), said, tight)
            if name in values:
                assert np.shape(g) == values[name].shape, said
