"""The numeric witness: it turns down what is wrong, also near a pole, and holds `stop` fixed."""

from __future__ import annotations

import pytest

from backproof.calculus.model import Model, build_model
from backproof.calculus.witness import check_derived, verify_gradient, verify_jacobian
from backproof.errors import InternalContradiction, Source
from backproof.language.sheet import parse_sheet


def model(text: str) -> Model:
    return build_model(parse_sheet(Source("test", text)))


NET = """given x in R[3]
learn W in R[2, 3]
z = W @ x
L = sum(sigmoid(z))
"""

# The probabilities of a softmax of large scores come close to zero, where 1/p changes fast.
STEEP = """given z in R[4]
given y in onehot[4]
s = 40*z
p = softmax(s)
L = cross_entropy(p, y)
"""


def test_a_right_gradient_passes() -> None:
    m = model(NET)
    seen = verify_gradient(m, m.leaves["L"], "W", m.deriver.gradient(m.leaves["L"], "W"))
    assert (seen.points, seen.failed) == (3, 0)


def test_a_wrong_gradient_fails_at_every_point() -> None:
    m = model(NET)
    wrong = m.deriver.gradient(m.leaves["L"], "W") * 2
    seen = verify_gradient(m, m.leaves["L"], "W", wrong)
    assert (seen.points, seen.failed) == (3, 3)


def test_a_slightly_wrong_gradient_fails_too() -> None:
    m = model(NET)
    right = m.deriver.gradient(m.leaves["L"], "W")
    wrong = right + m.graph.filled(1, right.shape) / 10**12
    assert verify_gradient(m, m.leaves["L"], "W", wrong).failed == 3


def test_layouts_are_told_apart() -> None:
    m = model("given x in R[3]\nlearn W in R[2, 3]\nz = W @ x\n")
    z = m.leaves["z"]
    jacobian = m.deriver.jacobian(z, "x", True)
    assert verify_jacobian(m, z, "x", jacobian, True).failed == 0
    assert verify_jacobian(m, z, "x", m.deriver.jacobian(z, "x", False), False).failed == 0
    assert verify_jacobian(m, z, "x", jacobian, False).failed == 2


@pytest.mark.parametrize("name", ["z", "s", "p"])
def test_close_to_a_pole_a_finer_step_is_taken(name: str) -> None:
    m = model(STEEP)
    node = m.deriver.gradient(m.leaves["L"], name)
    assert verify_gradient(m, m.leaves["L"], name, node).failed == 0
    wrong = verify_gradient(m, m.leaves["L"], name, node * 3)
    assert wrong.failed == wrong.points > 0


def test_what_is_held_fixed_does_not_move() -> None:
    m = model("learn w in R[2]\nL = sum(stop(w)*w)\n")
    node = m.deriver.gradient(m.leaves["L"], "w")
    assert verify_gradient(m, m.leaves["L"], "w", node).failed == 0
    assert verify_gradient(m, m.leaves["L"], "w", 2 * node).failed == 3


def test_a_contradiction_is_raised() -> None:
    m = model(NET)
    m.deriver.gradient(m.leaves["L"], "W")
    (derived,) = m.deriver.derived
    check_derived(m, [derived])
    object.__setattr__(derived, "result", -derived.result)
    with pytest.raises(InternalContradiction, match="This is a bug in backproof"):
        check_derived(m, [derived])
