"""Formulas as Typst mathematics: the second writer over the tree that MathML is written from."""

from __future__ import annotations

from backproof.render import formula as f
from backproof.render.spoken import spoken

LONG = 34.0  # ems; a longer formula may be broken between lines
_PLAIN = frozenset("+−=≠≤≥←→≈∈·×⊙⊗±↦⇒∂∇⊤∞⋯…⋮′ℓ")
_ESCAPED = frozenset("<>*/!,;:()[]|%")
_ACCENTS = {"^": "hat", "¯": "macron", "~": "tilde", "˙": "dot"}


def typst_math(latex: str) -> str:
    """A formula for running text, with its words for a screen reader."""
    tree = f.parse(latex)
    if f.width(tree) <= LONG:
        inner = f"display({write(tree)})"
    else:
        inner = " ".join(map(_apart, f.loosened(tree, LONG / 2).items))
    return f"#math.equation(alt: {string(spoken(tree))}, ${inner}$)"


def _apart(part: f.Formula) -> str:
    """A part of a formula that lines may be broken in: fractions as large as elsewhere."""
    shown = write(part)
    return f"display({shown})" if isinstance(part, f.Fraction) else shown


def string(text: str) -> str:
    """Text as a string of Typst."""
    shown = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{shown}"'


def write(tree: f.Formula) -> str:
    """A formula between dollars."""
    match tree:
        case f.Atom():
            return _atom(tree)
        case f.Row(items=items):
            return " ".join(map(write, items)) or "#none"
        case f.Space(width=width):
            return f"#h({width}em)"
        case f.Fraction(above=above, below=below):
            return f"frac({write(above)}, {write(below)})"
        case f.Root(inside=inside):
            return f"sqrt({write(inside)})"
        case f.Script(base=base, above=above, below=below):
            parts = [f"attach({_base(base)}"]
            parts += [f"t: {write(above)}"] if above is not None else []
            parts += [f"b: {write(below)}"] if below is not None else []
            return ", ".join(parts) + ")"
        case f.Fence(left=left, inside=inside, right=right):
            return f"lr({_fence(left)} {write(inside)} {_fence(right)})"
        case f.Table(kind=kind, rows=rows):
            if kind == "cases":
                return f"cases({', '.join(' & '.join(map(write, row)) for row in rows)})"
            body = "; ".join(", ".join(map(write, row)) for row in rows)
            align = "align: #right, " if f.columns_of_numbers(tree) else ""
            return f'mat(delim: "[", {align}{body})'
        case f.Accent(sign=sign, base=base):
            return f"{_ACCENTS[sign]}({write(base)})"
        case f.Phantom(inside=inside):
            return f"#hide[$display({write(inside)})$]"
        case f.Boxed(inside=inside):
            return f"#blank[${write(inside)}$]"


def _base(base: f.Formula) -> str:
    if not f.items_of(base):
        return '""'
    shown = write(base)
    return f"limits({shown})" if isinstance(base, f.Atom) and base.kind == "big" else shown


def _atom(atom: f.Atom) -> str:
    text = atom.text
    match atom.kind:
        case "name":
            return text
        case "number":
            return text
        case "function":
            return f"op({string(text)})"
        case "big":
            return text if text in "∑∏" else f"op({string(text)})"
        case "bold":
            return f"bold({string(text)})"
        case "double":
            return text
        case "text":
            return string(text)
    if text in _PLAIN:
        return text
    if text in _ESCAPED:
        return f"\\{text}"
    return f"upright({string(text)})" if atom.kind == "upright" else string(text)


def _fence(sign: str) -> str:
    if not sign:
        return ""
    return f"\\{sign}" if sign in "()[]{}|" else sign
