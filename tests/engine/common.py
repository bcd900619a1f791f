"""What the tests of the engines share: a point of a sheet, and the evaluator's answer there."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.sheets import SIAMESE, model_of, point_of

from backproof.engine.compiled import compile_gradient
from backproof.operators.arithmetic import decimal_context

__all__ = ["SIAMESE", "agrees", "model_of", "point_of", "same"]


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
        tight = 1e-7 if dtype == "float64" else 2e-3
        loss = model.leaves["L"]
        run = point.evaluator(model, exact=False)
        try:
            same(value, run.value(loss), f"{text}\n{f.source}", tight)
        except AssertionError:  # as written, log(1 - sigmoid(z)) loses digits that an engine keeps
            with decimal_context():
                run = point.evaluator(model, exact=True)
                same(value, run.value(loss).astype(float), f"{text}\n{f.source}", tight)
        assert set(gradients) == set(model.learned)
        for name, g in gradients.items():
            node = model.deriver.gradient(loss, name)
            said = f"{name}\n{text}\n{f.source}"
            with decimal_context():
                same(g, run.value(node).astype(float), said, tight)
            if name in values:
                assert np.shape(g) == values[name].shape, said
