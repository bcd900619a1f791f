"""Formulas in words, as one reads them aloud: for screen readers and for text beside drawings."""

from __future__ import annotations

from collections.abc import Sequence

from backproof.render import formula as f

_SAID = {
    "=": "equals", "≠": "is not equal to", "≤": "at most", "≥": "at least", "<": "less than",
    ">": "greater than", "←": "becomes", "→": "to", "+": "plus", "−": "minus", "-": "minus",
    "·": "times", "×": "times", "⊙": "elementwise times", "⊗": "Kronecker times",
    "±": "plus or minus", "∂": "d", "∇": "gradient", "⊤": "transpose", "∑": "the sum",
    "∏": "the product", "≈": "about", "∈": "in", "⋯": "and so on", "…": "and so on",
    "⋮": "and so on", "𝟙": "indicator", "ℝ": "R", "′": "prime", "σ": "sigma",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "τ": "tau", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "capital gamma", "Δ": "capital delta", "Θ": "capital theta",
    "Λ": "capital lambda", "Ξ": "capital xi", "Π": "capital pi", "Σ": "capital sigma",
    "Φ": "capital phi", "Ψ": "capital psi", "Ω": "capital omega",
}  # fmt: skip
_ACCENT = {"^": "hat", "¯": "bar", "~": "tilde", "˙": "dot"}
_FENCED = {
    "(": ("open bracket", "close bracket"), "[": ("open bracket", "close bracket"),
    "|": ("the absolute value of", "end"), "‖": ("the norm of", "end of norm"),
    "⌊": ("the floor of", "end"), "⌈": ("the ceiling of", "end"),
}  # fmt: skip


def spoken(tree: f.Formula) -> str:
    """The formula in words."""
    return " ".join(_words(tree).split())


def _words(tree: f.Formula) -> str:
    match tree:
        case f.Atom(kind="bold", text=text):
            return {"1": "the ones vector", "0": "zero"}.get(text, f"bold {text}")
        case f.Atom(text=text):
            return _SAID.get(text, text)
        case f.Row(items=items):
            return " ".join(map(_words, items))
        case f.Space() | f.Phantom():
            return ""
        case f.Fraction(above=above, below=below):
            return _fraction(above, below)
        case f.Root(inside=inside):
            return f"the square root of {_words(inside)} end of root"
        case f.Script():
            return _script(tree)
        case f.Fence(left=left, inside=inside):
            before, after = _FENCED.get(left, ("open bracket", "close bracket"))
            return f"{before} {_words(inside)} {after}"
        case f.Table(kind=kind, rows=rows):
            return _table(kind, rows)
        case f.Accent(sign=sign, base=base):
            return f"{_words(base)} {_ACCENT.get(sign, '')}"
        case f.Boxed(inside=inside):
            return f"blank number {_words(inside)}"


def _fraction(above: f.Formula, below: f.Formula) -> str:
    top, bottom = f.items_of(above), f.items_of(below)
    if top and bottom and top[0] == bottom[0] == f.Atom("upright", "∂"):
        of, by = _words(f.Row(top[1:])), _words(f.Row(bottom[1:]))
        return f"the derivative of {of} with respect to {by}"
    if len(top) == len(bottom) == 1:
        return f"{_words(above)} over {_words(below)}"
    return f"the fraction {_words(above)} over {_words(below)} end of fraction"


def _script(tree: f.Script) -> str:
    base = _words(tree.base)
    if isinstance(tree.base, f.Atom) and tree.base.kind == "big":
        low = f" over {_words(tree.below)}" if tree.below is not None else ""
        high = f" to {_words(tree.above)}" if tree.above is not None else ""
        return f"{base}{low}{high} of"
    words = [base]
    if tree.above is not None:
        words.append(_above(tree.above))
    if tree.below is not None:
        words.append(f"sub {_words(tree.below)}")
    return " ".join(words)


def _above(tree: f.Formula) -> str:
    items = f.items_of(tree)
    if tree == f.Atom("upright", "⊤"):
        return "transpose"
    if tree == f.Atom("sign", "′"):
        return "prime"
    if tree == f.Atom("number", "2"):
        return "squared"
    if items == (f.Atom("sign", "−"), f.Atom("number", "1")):
        return "inverse"
    turned = len(items) > 3 and items[-1] == f.Atom("upright", "⊤")
    mark = items[:-1] if turned else items
    if len(mark) >= 3 and mark[0] == f.Atom("sign", "[") and mark[-1] == f.Atom("sign", "]"):
        return f"layer {_words(f.Row(mark[1:-1]))}{' transpose' if turned else ''}"
    return f"to the power {_words(tree)}"


def _table(kind: str, rows: Sequence[Sequence[f.Formula]]) -> str:
    if kind == "cases":
        told = "; ".join(" ".join(map(_words, row)) for row in rows)
        return f"by cases: {told}"
    size = f"{len(rows)} by {len(rows[0])}"
    told = "; ".join(", ".join(map(_words, row)) for row in rows)
    return f"the {size} matrix with rows {told}, end of matrix"
