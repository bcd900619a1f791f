"""The numeric witness: it turns down what is wrong, also near a pole, and holds `stop` fixed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from backproof.calculus.model import Model, build_model
from backproof.calculus.witness import (
    check_derived,
    confirmed,
    verify_gradient,
    verify_jacobian,
)
from backproof.errors import InternalContradiction, Source
from backproof.language.sheet import parse_sheet
from backproof.operators.arithmetic import decimal_context
from backproof.working.gradient import gradient_working


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


def test_what_passed_once_lets_nothing_else_pass() -> None:
    m = model(NET)
    root, right = m.leaves["L"], m.deriver.gradient(m.leaves["L"], "W")
    assert verify_gradient(m, root, "W", right).failed == 0
    assert verify_gradient(m, root, "W", -right).failed == 3
    assert verify_gradient(m, root, "W", right).failed == 0


def test_what_an_intermediate_leads_to_moves_and_no_more() -> None:
    m = model(NET)
    root = m.leaves["L"]
    assert verify_gradient(m, root, "z", m.deriver.gradient(root, "z")).failed == 0
    wrong = m.deriver.gradient(root, "z") + m.leaves["z"]
    assert verify_gradient(m, root, "z", wrong).failed == 3


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


def test_a_saturated_output_is_no_contradiction() -> None:
    """Scores of some hundreds bring a to within 1e-13 of 0 or 1, closer than the first step."""
    m = model(
        "given x in R[60]\ngiven y in {0, 1}\nlearn W in R[40, 60], v in R[40], c in R\n"
        "h = W @ x\nz = 5*v.T @ h + c\na = sigmoid(z)\n"
        "L = -(y*log(a) + (1 - y)*log(1 - a))\n"
    )
    steps = [s for s in gradient_working(m, "L", "v").steps if s.verified is not None]
    assert steps
    assert all(s.verified.failed == 0 for s in steps if s.verified is not None)


@pytest.mark.parametrize(("factor", "verdict"), [(1, True), (3, False), (0, False)])
def test_large_numbers_take_a_wider_step(factor: int, verdict: bool) -> None:
    """x**2/2 at 1e25, where a step of 1e-14 is lost among fifty digits."""
    x = Decimal("1e25")

    def rise(step: Decimal) -> tuple[np.ndarray, Decimal]:
        up, down = (x + step) ** 2 / 2, (x - step) ** 2 / 2
        return np.array([up - down], dtype=object), up

    with decimal_context():
        derived = np.array([factor * x], dtype=object)
        assert confirmed(derived, rise, np.array([x], dtype=object)) is verdict


def test_nothing_is_told_where_the_digits_swallow_the_step() -> None:
    def rise(step: Decimal) -> tuple[np.ndarray, Decimal]:
        return np.array([Decimal(0)], dtype=object), Decimal("1e80")

    with decimal_context():
        some = np.array([Decimal("1e10")], dtype=object)
        assert confirmed(some, rise, np.array([Decimal(1)], dtype=object)) is None


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
