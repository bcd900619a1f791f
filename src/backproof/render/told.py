"""Sentences of ours as HTML: names in them are written as in the formulas beside them.

A name is written so where it is one of the answer's own and looks different from a word: `zA1`,
`alpha`, `W`; never `a`, which is a word as well. Knows no working by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from html import escape

from backproof.calculus.latex import latex_name
from backproof.render import formula as f
from backproof.working.steps import Step

_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"[^\W\d]\w*")
_FORMULAS = ("equation", "numbers", "result", "local", "chain", "path", "tree")
_STATED = re.compile(r"^\s*(?:given|learn|let)\s+(.*)|^\s*([^\W\d]\w*)\s*=", re.MULTILINE)
_LISTED = re.compile(r"([^\W\d]\w*)\s*(?=,|in\b|∈|=)")
_BECOMES = re.compile(r"([^\W\d]\w*) →")  # zA1 → ZA1: what was a name before
_BY = "\u00a0×\u00a0"
_WORDS = frozenset({"a", "i", "A", "I"})


def names_of(steps: Iterable[Step]) -> frozenset[str]:
    """The names in an answer's formulas that are written unlike a word."""
    found: set[str] = set()
    for s in steps:
        found.update(_NAME.findall(s.text if s.kind in _FORMULAS else s.label))
        found.update(_BECOMES.findall(s.text) if s.kind == "note" else ())
    return frozenset(n for n in found if name_html(n))


def names_stated(statements: str) -> frozenset[str]:
    """The names that a sheet's statements give, learn or define, those written unlike a word."""
    found: set[str] = set()
    for listed, defined in _STATED.findall(statements):
        found.update(_LISTED.findall(listed.split("#")[0]) if listed else [defined])
    return frozenset(n for n in found if name_html(n))


def told(text: str, names: Collection[str] = ()) -> str:
    """A sentence as HTML, its `code` as code and the names in it as one writes them."""
    parts = _CODE.split(text)
    return "".join(
        f"<code>{escape(part, quote=False)}</code>" if k % 2 else _sentence(part, names)
        for k, part in enumerate(parts)
    )


def _sentence(text: str, names: Collection[str]) -> str:
    text = re.sub(r"(?<![\w)\]])-(?=[\w.(])|(?<=[\w)\]]) - (?=[\w(])", _minus, text)
    text = text.replace(" × ", _BY)  # a shape stays on one line
    out = []
    parts = re.split(r"((?<!\w)∇?_?[^\W\d]\w*)", text)
    for k, part in enumerate(parts):
        if not k % 2:
            out.append(escape(part, quote=False))
        elif part.startswith("∇_"):
            out.append(f"∇<sub>{escape(part[2:])}</sub>")
        else:
            name = part.removeprefix("∇").removesuffix("ᵀ")
            before, _, after = part.partition(name)
            size = parts[k - 1].endswith(_BY) or parts[k + 1].startswith(_BY)  # n × k: a shape
            shown = name_html(name) if name in names and not size else ""
            raised = "<sup>T</sup>" if shown and after else after
            out.append(before + (shown or escape(name, quote=False)) + raised)
    return "".join(out)


def _minus(found: re.Match[str]) -> str:
    return found[0].replace("-", "−")


@lru_cache(maxsize=4096)
def name_html(name: str) -> str:
    """A name with its marks as HTML; "" where it would be a plain word."""
    if name in _WORDS:
        return ""
    try:
        tree = f.parse(latex_name(name))
    except f.FormulaError:
        return ""
    if isinstance(tree, f.Atom):
        return f"<var>{escape(tree.text)}</var>" if tree.kind == "name" else ""
    return "".join(_parts(tree)) if isinstance(tree, f.Script) else ""


def _parts(tree: f.Formula) -> Iterator[str]:
    match tree:
        case f.Atom(kind="name", text=text):
            yield f"<var>{escape(text)}</var>"
        case f.Atom(text=text):
            yield escape(text)
        case f.Script(base=base, above=above, below=below):
            yield from _parts(base)
            yield f"<sub>{''.join(_parts(below))}</sub>" if below is not None else ""
            yield f"<sup>{''.join(_parts(above))}</sup>" if above is not None else ""
        case f.Row(items=items):
            for item in items:
                yield from _parts(item)
        case f.Accent(base=base):
            yield from _parts(base)
