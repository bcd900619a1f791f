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

_ASKING = re.compile(r"^(?:#{1,6} |\*\*\()", re.MULTILINE)


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


def told_apart(text: str, answered: bool) -> tuple[str, str]:
    """(what talks about the answer, what asks) of the prose between two sheets.

    Right behind a sheet a paper talks about its answer; the next heading asks again.

    answered   whether the prose stands right behind a sheet
    """
    if not answered:
        return "", text
    heading = _ASKING.search(text)
    at = heading.start() if heading else len(text)
    return text[:at], text[at:]


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


# --- the same for print ---------------------------------------------------------------------------


def typst_prose(text: str) -> str:
    """The Markdown as Typst: headings, paragraphs, lists, quoted source and tables."""
    return _blocks(list(reader().parse(text)))


def _blocks(tokens: Sequence[Token]) -> str:
    from backproof.render.typst_math import string

    out: list[str] = []
    for at, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                out.append(f"#heading(level: {max(2, int(token.tag[1:]))})[")
            case "heading_close":
                out.append("]\n")
            case "inline":
                out.append(_inlines(token.children or ()))
            case "paragraph_close":
                out.append("\n\n" if not token.hidden else "")
            case "bullet_list_open":
                out.append("#list(")
            case "ordered_list_open":
                out.append(f"#enum(start: {token.attrGet('start') or 1}, ")
            case "list_item_open" | "th_open" | "td_open":
                out.append("[")
            case "list_item_close" | "th_close" | "td_close":
                out.append("], ")
            case "bullet_list_close" | "ordered_list_close" | "table_close":
                out.append(")\n\n")
            case "table_open":
                columns = sum(t.type == "th_open" for t in tokens[at:])
                out.append(f"#table(columns: {columns}, stroke: 0.4pt, ")
            case "blockquote_open":
                out.append("#quote(block: true)[")
            case "blockquote_close":
                out.append("]\n")
            case "fence" | "code_block":
                source = string(token.content.rstrip("\n"))
                out.append(f"#source({source})\n")
            case "hr":
                out.append("#line(length: 100%, stroke: 0.4pt)\n")
    return "".join(out)


def _inlines(tokens: Sequence[Token]) -> str:
    from backproof.render.typst_math import string

    out: list[str] = []
    for token in tokens:
        match token.type:
            case "text":
                out.append(_typst_names(token.content))
            case "code_inline":
                out.append(f"#raw({string(token.content)})")
            case "em_open":
                out.append("#emph[")
            case "strong_open":
                out.append("#strong[")
            case "em_close" | "strong_close":
                out.append("]")
            case "softbreak":
                out.append(" ")
            case "hardbreak":
                out.append("#linebreak()")
    return "".join(out)


def _typst_names(text: str) -> str:
    from backproof.render.typst_math import string

    out, at = [], 0
    for found in _INDEX.finditer(text):
        before = text[at : found.start()]
        out.append(f"#{string(before)}" if before else "")
        raised = '#super("T")' if found[3] else ""
        out.append(f"#emph({string(found[1])})#sub({string(found[2])}){raised}")
        at = found.end()
    out.append(f"#{string(text[at:])}" if text[at:] else "")
    return "".join(out)
