"""The functions that may be written in a sheet: how many arguments, which options.

This is the grammar's list only; what a function means is said elsewhere, and nothing here may
know it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from unicodedata import normalize


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function may be called: from *least* to *most* arguments (None: any number)."""

    least: int
    most: int | None
    options: tuple[str, ...] = ()

    def counts(self) -> str:
        """The number of arguments in words."""
        if self.most is None:
            return f"at least {self.least} argument{'s' if self.least > 1 else ''}"
        if self.least == self.most:
            return f"{self.least} argument{'s' if self.least > 1 else ''}"
        return f"{self.least} to {self.most} arguments"


_ONE = Signature(1, 1)
_TWO = Signature(2, 2)
_THREE = Signature(3, 3)
_REDUCTION = Signature(1, 1, ("axis",))
_PARTS = Signature(1, None, ("axis",))

# fmt: off
FUNCTIONS: dict[str, Signature] = {
    **dict.fromkeys((
        "relu", "gelu", "gelu_tanh", "silu", "softplus", "sigmoid", "tanh", "exp", "log", "log2",
        "log10", "sqrt", "abs", "sign", "step", "sin", "cos", "square", "floor", "ceil", "erf",
    ), _ONE),
    **dict.fromkeys(("leaky_relu", "elu"), Signature(1, 2)),
    **dict.fromkeys((
        "softmax", "log_softmax", "logsumexp", "sum", "mean", "prod", "norm", "argmax",
    ), _REDUCTION),
    **dict.fromkeys(("max", "min"), Signature(1, 2, ("axis",))),
    **dict.fromkeys((
        "sumsq", "tril", "triu", "trace", "det", "inv", "logdet", "diag", "vec", "eye", "size",
        "stop", "shape",
    ), _ONE),
    **dict.fromkeys(("ones", "zeros"), Signature(1, None)),
    **dict.fromkeys((
        "outer", "dot", "kron", "solve", "bce", "mse", "sse",
    ), _TWO),
    **dict.fromkeys(("grad", "jac", "hess"), _TWO),
    **dict.fromkeys(("where", "clip"), _THREE),
    **dict.fromkeys(("concat", "stack"), _PARTS),
    "cross_entropy": Signature(2, 2, ("weights",)),
    "weighted_bce": Signature(4, 4),
    "hinge": Signature(2, 3, ("margin",)),
    "bias_trick": Signature(1, 2),
    "einsum": Signature(2, None),
}
# fmt: on

WITH_INDEX = frozenset(("sum", "mean", "prod", "max", "min"))
DERIVATIVES = frozenset(("grad", "jac", "hess"))
PAPER_FUNCTIONS = {"σ": "sigmoid"}
PAPER_SUMS = {"Σ": "sum", "Π": "prod"}
CONSTANTS = ("pi", "e")

# What people write from habit, and what it is called here.
_HABITS = {
    "ln": "log(…)",
    "tr": "trace(…)",
    "Tr": "trace(…)",
    "transpose": "a transpose, X.T",
    "matmul": "the product @",
    "max0": "relu(…)",
    "logistic": "sigmoid(…)",
    "Φ": "(1 + erf(z / sqrt(2))) / 2",
    "π": "pi",
    "identity": "eye(n)",
    "diagflat": "diag(…)",
    "pow": "the power **",
    "power": "the power **",
    "nll": "cross_entropy(…)",
    "wbce": "weighted_bce(a, y, alpha, beta)",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that *name* was probably meant to be."""
    names = list(known)
    folded = name.casefold()
    for other in names:
        if other.casefold() == folded:
            return other
    cutoff = 0.5 if len(name) <= 3 else 0.6
    close = get_close_matches(name, names, n=1, cutoff=cutoff)
    return close[0] if close else None


def name_hint(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: what it might have been, or ""."""
    if name in _HABITS:
        return f"the sheet language writes {_HABITS[name]}"
    names = list(known)
    plain = normalize("NFKC", name)
    for other in names:
        if normalize("NFKC", other) == plain:
            return (
                f"did you mean '{other}'? It looks alike but is written with other characters "
                f"({_points(other)}, here {_points(name)})"
            )
    other_name = nearest(name, names)
    return f"did you mean '{other_name}'?" if other_name else ""


def _points(name: str) -> str:
    return " ".join(f"U+{ord(c):04X}" for c in name)
