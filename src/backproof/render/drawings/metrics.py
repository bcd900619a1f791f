"""How wide text is, on the safe side: the widest of the fonts that a system may put in its place.

Widths are in hundredths of the font size, measured from DejaVu Sans and Liberation Sans.
"""

from __future__ import annotations

import unicodedata

_ASCII = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 56, 102, 68, 69, 72, 77, 67, 61, 78, 75, 29, 50, 67, 56, 86, 75, 79,
    67, 79, 72, 67, 61, 73, 68, 99, 69, 67, 69, 39, 34, 39, 84, 56, 50, 61, 63, 55, 63, 62, 35, 63,
    63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
_OTHER = dict(zip(
    "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ∂∇×·⊙⊗−±≤≥≠→←↑↓…ᵀ‖√∈⋯𝟙–⊤",
    (66, 64, 59, 61, 54, 54, 63, 61, 34, 59, 59, 64, 56, 56, 69, 63, 63, 60, 58, 66, 58, 71, 84,
     56, 68, 79, 68, 65, 75, 63, 80, 84, 76, 52, 67, 84, 32, 84, 84, 84, 84, 84, 84, 84, 100, 100,
     84, 84, 100, 38, 50, 64, 87, 100, 64, 56, 70),
    strict=True,
))  # fmt: skip
HEIGHT = 1.0  # of a line of text above and below its baseline, in font sizes
ABOVE = 0.78  # the part of it above the baseline


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a text at a font size."""
    wide = size * sum(map(_char, text)) / 100
    return wide * 1.12 if bold else wide


def _char(c: str) -> int:
    if " " <= c <= "~":
        return _ASCII[ord(c) - 32]
    if c in _OTHER:
        return _OTHER[c]
    if unicodedata.combining(c):
        return 0
    return 104 if unicodedata.east_asian_width(c) in "WF" else 80
