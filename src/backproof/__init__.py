"""backproof: write a network the way you write it on paper, and have it worked out and checked.

    import backproof as bp

    s = bp.read("siamese.sheet")
    print(s.gradient("L", "W1"))
    print(s.check("grad(L, z2) == a2 - y"))

Everything is loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backproof.errors import (
        BackproofError,
        FileProblem,
        InternalContradiction,
        LimitExceeded,
        MissingExtra,
        NameProblem,
        NotAvailable,
        ShapeProblem,
        SheetError,
        SheetSyntaxError,
        TrainingStopped,
        ValueProblem,
    )
    from backproof.interop.estimators import SheetAutoencoder as SheetAutoencoder
    from backproof.interop.estimators import SheetClassifier as SheetClassifier
    from backproof.interop.estimators import SheetRegressor as SheetRegressor
    from backproof.render.answers import Answer, Verdict, Worked
    from backproof.sheets import Sheet, read
    from backproof.working.steps import Step, Verified, Working

    __version__: str

# The estimators need scikit-learn, so `from backproof import *` leaves them out.
_HOMES = {
    "Sheet": "backproof.sheets",
    "SheetAutoencoder": "backproof.interop.estimators",
    "SheetClassifier": "backproof.interop.estimators",
    "SheetRegressor": "backproof.interop.estimators",
    "read": "backproof.sheets",
    "Answer": "backproof.render.answers",
    "Verdict": "backproof.render.answers",
    "Worked": "backproof.render.answers",
    "Step": "backproof.working.steps",
    "Verified": "backproof.working.steps",
    "Working": "backproof.working.steps",
    "BackproofError": "backproof.errors",
    "FileProblem": "backproof.errors",
    "InternalContradiction": "backproof.errors",
    "LimitExceeded": "backproof.errors",
    "MissingExtra": "backproof.errors",
    "NameProblem": "backproof.errors",
    "NotAvailable": "backproof.errors",
    "ShapeProblem": "backproof.errors",
    "SheetError": "backproof.errors",
    "SheetSyntaxError": "backproof.errors",
    "TrainingStopped": "backproof.errors",
    "ValueProblem": "backproof.errors",
}

__all__ = [
    "Answer",
    "BackproofError",
    "FileProblem",
    "InternalContradiction",
    "LimitExceeded",
    "MissingExtra",
    "NameProblem",
    "NotAvailable",
    "ShapeProblem",
    "Sheet",
    "SheetError",
    "SheetSyntaxError",
    "Step",
    "TrainingStopped",
    "ValueProblem",
    "Verdict",
    "Verified",
    "Worked",
    "Working",
    "__version__",
    "read",
]


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext backproof` in a notebook: cells that begin with %%sheet are sheets."""
    from backproof.interop.notebook import add_magic
    from backproof.sheets import Sheet

    add_magic(shell, Sheet)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("backproof")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'backproof' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
