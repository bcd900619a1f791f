"""Exact index-notation algebra with a canonical normal form: the pure algebra under proofs.

Expressions are built with `entry`, `const`, `delta`, `func`, `inv` and so on, multiplied with
`mul`, summed over an index with `sum_over`; every result is in normal form, so equal keys mean
equal expressions. `is_zero` decides what the normal form leaves open. Knows nothing of sheets,
typed graphs or arrays.
"""

from backproof.calculus.index.algebra import (
    dim_expr,
    ipow,
    mul,
    product,
    rename,
    sum_over,
)
from backproof.calculus.index.budget import Budget, OutOfBudget, within
from backproof.calculus.index.build import before, delta, entry, split, with_sizes
from backproof.calculus.index.functions import (
    absolute,
    eq,
    func,
    ind,
    maximum,
    minimum,
    relu,
    sigmoid,
    sign,
    softplus,
    symbolic_power,
    tanh,
    where,
)
from backproof.calculus.index.match import Rule, rewrite
from backproof.calculus.index.matrices import det, dim_power, inv, red
from backproof.calculus.index.powers import Undefined, exp, log, power
from backproof.calculus.index.reduce import (
    apart,
    assumption,
    clear,
    derivative,
    is_zero,
    needed_facts,
    settle,
)
from backproof.calculus.index.signs import NONNEGATIVE, POSITIVE, UNKNOWN, sign_of
from backproof.calculus.index.terms import (
    ONE,
    ZERO,
    Expr,
    Ix,
    Size,
    const,
    lit,
    size,
    total,
    var,
)
from backproof.calculus.index.unfold import expand_dims, names_in, replace_atoms, substitute

__all__ = [
    "NONNEGATIVE",
    "ONE",
    "POSITIVE",
    "UNKNOWN",
    "ZERO",
    "Budget",
    "Expr",
    "Ix",
    "OutOfBudget",
    "Rule",
    "Size",
    "Undefined",
    "absolute",
    "apart",
    "assumption",
    "before",
    "clear",
    "const",
    "delta",
    "derivative",
    "det",
    "dim_expr",
    "dim_power",
    "entry",
    "eq",
    "exp",
    "expand_dims",
    "func",
    "ind",
    "inv",
    "ipow",
    "is_zero",
    "lit",
    "log",
    "maximum",
    "minimum",
    "mul",
    "names_in",
    "needed_facts",
    "power",
    "product",
    "red",
    "relu",
    "rename",
    "replace_atoms",
    "rewrite",
    "settle",
    "sigmoid",
    "sign",
    "sign_of",
    "size",
    "softplus",
    "split",
    "substitute",
    "sum_over",
    "symbolic_power",
    "tanh",
    "total",
    "var",
    "where",
    "with_sizes",
    "within",
]
