"""The Markdown of a paper as HTML: no raw HTML, no pictures, names like x_1 as one writes them."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# x_1, W_A1ᵀ, D_2: how a paper in plain text writes an index
_INDEX = re.compile(r"(?<![\w`])([^\W\d_]{1,2})_([A-Za-z]?\d|\w)(?![A-Za-z0-9_])(ᵀ?)")


def prose(text: str) -> tuple[str, list[tuple[int, str, str]]]:
    """(HTML, headings as (level, id, text)) of Markdown."""
    parser = reader()
    tokens = parser.parse(text)
    headings: list[tuple[int, str, str]] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            said = tokens[at + 1].content
            level = max(2, int(token.tag[1:]))
            token.tag = tokens[at + 2].tag = f"h{level}"
            ident = slug(said)
            token.attrSet("id", ident)
            if level == 2:
                headings.append((level, ident, plain(tokens[at + 1])))
        if token.type == "table_open":
            token.attrSet("tabindex", "0")
    shown: str = parser.renderer.render(tokens, parser.options, {})
    return shown, headings


def plain(token: Token) -> str:
    """The words of an inline token."""
    return "".join(t.content for t in token.children or () if t.type in ("text", "code_inline"))


@cache
def reader() -> MarkdownIt:
    """CommonMark with tables, without raw HTML and without pictures (nothing is loaded)."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.add_render_rule("text", _text)
    return parser


def _text(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return with_indices(escape(tokens[at].content, quote=False))


def with_indices(shown: str) -> str:
    """Escaped text with its names set as names."""
    return _INDEX.sub(
        lambda m: f"<var>{m[1]}</var><sub>{m[2]}</sub>{'<sup>T</sup>' if m[3] else ''}", shown
    )


def slug(text: str) -> str:
    """A text as an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "part"
