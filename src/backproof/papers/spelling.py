"""Answers in symbols as written on paper or in LaTeX, in spellings that a sheet could have.

`W_2^T`, `\\sigma(z_{2})`, `2 λ W`, `W_2 a_1`, `ln x`, `ReLU(z)`. Nothing is judged here: whoever
reads takes the first spelling that means something.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

LONGEST = 600
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta",
    "θ": "theta", "λ": "lambda", "μ": "mu", "σ": "sigma", "φ": "phi", "ω": "omega",
}  # fmt: skip
_WORDS = {
    "ln": "log", "sigma": "sigmoid", "odot": "*", "circ": "*", "cdot": "·", "times": "·",
    "operatorname": "", "mathrm": "", "mathbf": "", "text": "", "left": "", "right": "",
}  # fmt: skip
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d]\w*(?:\.T)?)|(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?P<sign>\*\*|.))"
)


def spellings(text: str, names: Collection[str], scalars: Collection[str]) -> Iterator[str]:
    """As it stands, then as a paper writes it; products without a sign are tried in both ways.

    names, scalars   what the sheet knows, and which of these are numbers
    """
    yield text
    if len(text) > LONGEST:
        return
    plain = plainly(text, names)
    yield plain.replace("·", "*")
    for sign in "@*":
        yield with_products(plain.replace("·", f" {sign} "), scalars, sign)


def plainly(text: str, names: Collection[str]) -> str:
    """Indices, transposes, powers and fractions in the sheet's spelling; `·` for a dot."""
    plain = text.strip().strip("$ ").replace("−", "-").replace("–", "-").replace("⋅", "·")
    plain = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", plain)
    plain = plain.replace("ᵀ", ".T").replace("⊙", "*")
    plain = re.sub(r"\^\s*(?:\{\s*)?(?:\\top|\\intercal|T|⊤)(?:\s*\})?", ".T", plain)

    def word(match: re.Match[str]) -> str:
        name = match[1]
        return name if name in names else _WORDS.get(name, name)

    plain = re.sub(r"\\([A-Za-z]+)", word, plain)
    for letter, name in _GREEK.items():
        if letter not in names and letter in plain:
            plain = plain.replace(letter, f" {name if name in names else _WORDS.get(name, name)} ")

    def joined(match: re.Match[str]) -> str:
        whole = match[1] + (match[2] or match[3])
        return whole if whole in names and match[0] not in names else match[0]

    plain = re.sub(r"([^\W\d_][^\W_]*)_(?:\{(\w+)\}|([^\W_]+))", joined, plain)

    def called(match: re.Match[str]) -> str:
        name = match[1]
        return match[0] if name in names else _WORDS.get(name.lower(), name.lower()) + match[2]

    plain = re.sub(r"([^\W\d]\w*)(\s*\()", called, plain)
    plain = re.sub(r"\^\s*\{([^{}]*)\}", r"**(\1)", plain).replace("^", "**")
    return plain.replace("{", "(").replace("}", ")")


def with_products(text: str, scalars: Collection[str], sign: str) -> str:
    """Signs where two factors stand side by side: `*` beside a number, else the one given."""
    out: list[str] = []
    before = ""  # what ended before: "", "name", "number" or "close"
    plain = False  # whether that was a number
    for match in _TOKEN.finditer(text):
        name, number, other = match["name"], match["number"], match["sign"]
        starts = bool(name or number) or other == "("
        call = other == "(" and before == "name" and out and not _factor(out[-1], scalars, text)
        if starts and before and not call:
            scalar = plain or number or (name or "").removesuffix(".T") in scalars
            out.append("*" if scalar else sign)
        out.append(name or number or other or "")
        before = "name" if name else "number" if number else "close" if other == ")" else ""
        plain = bool(number) or (name or "").removesuffix(".T") in scalars
    return " ".join(out).replace(" .T", ".T")


def _factor(name: str, scalars: Collection[str], text: str) -> bool:
    """Whether a name before a bracket is a factor, not a function."""
    return name in scalars or name.endswith(".T")
