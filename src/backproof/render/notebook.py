"""The lines of an answer as a small piece of HTML for a notebook: no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from backproof.render.lines import Line, Style

# Colours with enough contrast on white and on black; the words say the same without them.
CSS: dict[Style, str] = {
    "heading": "font-weight:bold",
    "shape": "opacity:.6",
    "note": "opacity:.7;font-style:italic",
    "value": "color:#0b7285",
    "holds": "color:#2b8a3e;font-weight:bold",
    "refuted": "color:#e03131;font-weight:bold",
    "undecided": "color:#b35900;font-weight:bold",
    "warning": "font-weight:bold",
    "error": "color:#e03131",
}


def html(lines: Iterable[Line]) -> str:
    """A `div` with the lines in it."""
    rows = "\n".join(_row(one) for one in lines)
    return (
        '<div class="backproof"><pre style="line-height:1.35;overflow-x:auto;white-space:pre">'
        f"{rows}</pre></div>"
    )


def _row(one: Line) -> str:
    return "".join(
        f'<span style="{CSS[style]}">{escape(text)}</span>' if style else escape(text)
        for text, style in one.parts
    ).rstrip()
