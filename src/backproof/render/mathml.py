"""Formulas as MathML Core: what browsers set without a script, with LaTeX and words behind it.

A long formula is cut before its operators into pieces that the browser may put on lines of
their own; the whole carries one label for screen readers and one LaTeX text to copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backproof.render import formula as f
from backproof.render.spoken import spoken

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_BOLD = {"0": "𝟎", "1": "𝟏"}
LONG = 16.0  # ems; a longer formula is cut into pieces
WIDEST = 20.0  # ems of a piece, beyond which it is cut at products too
# Ems by which a slanted letter leans over what is raised beside it; MathML Core leaves them out
# for letters. By the italic corrections of Computer Modern, in the size of a script.
_LEANS = dict.fromkeys("VY", ".2") | dict.fromkeys("CFJNPTUWf", ".1")


def mathml(latex: str, *, value: bool = False) -> str:
    """A formula for running text: one `math` element, or a span of several.

    value   whether what follows the last relation is a result, and coloured as one
    """
    tree = f.parse(latex)
    said = escape(spoken(tree), quote=True)
    note = f'<annotation encoding="application/x-tex">{escape(latex, quote=False)}</annotation>'
    if f.width(tree) <= LONG:
        inner = _marked(tree) if value else write(tree)
        return f'<span class="f">{_math(inner, said, note, label=True)}</span>'
    cut = f.pieces(tree, WIDEST)
    out = []
    for k, piece in enumerate(cut):
        inner = write(piece, first=k == 0)
        if value and k and k >= (last := _last_relation(cut)) > 0:
            inner = _marked(piece, first=False) if k == last else _value(inner)
        out.append(_math(inner, escape(spoken(piece), quote=True), "" if k else note))
    return (
        f'<span class="f long" role="math" aria-label="{said}">'
        f'{"<wbr>".join(out)}</span>'
    )  # fmt: skip


def _math(inner: str, said: str, note: str, *, label: bool = False) -> str:
    heard = f'aria-label="{said}"' if label else 'aria-hidden="true"'
    body = f"<semantics><mrow>{inner}</mrow>{note}</semantics>" if note else f"<mrow>{inner}</mrow>"
    return f'<math xmlns="{NAMESPACE}" displaystyle="true" alttext="{said}" {heard}>{body}</math>'


def _last_relation(cut: Sequence[f.Row]) -> int:
    return max((k for k, p in enumerate(cut) if p.items and f.is_sign(p.items[0], f.RELATIONS)),
               default=0)  # fmt: skip


def _marked(tree: f.Formula, *, first: bool = True) -> str:
    """The formula with what follows its last relation marked as the value."""
    items = f.items_of(tree)
    at = max((k for k, i in enumerate(items) if f.is_sign(i, f.RELATIONS)), default=None)
    if at is None:
        return write(tree, first=first)
    head = _row(items[: at + 1], first)
    return head + _value(_row(items[at + 1 :], True))


def _value(inner: str) -> str:
    return f'<mrow class="value">{inner}</mrow>'


def write(tree: f.Formula, *, first: bool = True) -> str:
    """The MathML of a formula, without the `math` around it.

    first   whether it begins a formula: a sign there is a prefix
    """
    match tree:
        case f.Row(items=items):
            return _row(items, first)
        case f.Atom():
            return _atom(tree, prefix=False)
        case f.Space(width=width):
            return f'<mspace width="{width}em"/>'
        case f.Fraction(above=above, below=below):
            return f"<mfrac>{_one(above)}{_one(below)}</mfrac>"
        case f.Root(inside=inside):
            return f"<msqrt>{write(inside)}</msqrt>"
        case f.Script():
            return _script(tree)
        case f.Fence(left=left, inside=inside, right=right):
            tall, deep = _is_tall(inside), min(_depth(inside), 2) if left in "([" else 0
            begin, end = (
                _fence(sign, form, tall, deep)
                for sign, form in ((left, "prefix"), (right, "postfix"))
            )
            return f"<mrow>{begin}{write(inside)}{end}</mrow>"
        case f.Table():
            return _table(tree)
        case f.Accent(sign=sign, base=base):
            return f'<mover accent="true">{_one(base)}<mo stretchy="false">{sign}</mo></mover>'
        case f.Phantom(inside=inside):
            return f"<mphantom>{write(inside)}</mphantom>"
        case f.Boxed(inside=inside):
            gap = '<mspace width=".5em"/>'
            return f'<mrow class="blank">{gap}{_one(inside)}{gap}</mrow>'


def _row(items: Sequence[f.Formula], first: bool) -> str:
    out = []
    for k, item in enumerate(items):
        if isinstance(item, f.Atom):
            out.append(_atom(item, prefix=f.is_prefix(items, k) and (first or k > 0)))
        else:
            out.append(write(item))
        follows = items[k + 1] if k + 1 < len(items) else None
        if isinstance(item, f.Atom) and item.kind == "function" and follows is not None:
            gap = "0em" if isinstance(follows, f.Fence) else ".17em"
            out.append(f'<mo lspace="0em" rspace="{gap}">&#x2061;</mo>')
    return "".join(out)


def _one(tree: f.Formula) -> str:
    """The formula as exactly one element."""
    inner = write(tree)
    items = f.items_of(tree)
    single = len(items) == 1 and not isinstance(items[0], f.Row)
    return inner if single else f"<mrow>{inner}</mrow>"


def _atom(atom: f.Atom, *, prefix: bool) -> str:
    text = escape(atom.text, quote=False)
    match atom.kind:
        case "name":
            return f"<mi>{text}</mi>"
        case "upright" | "function":
            upright = ' mathvariant="normal"' if len(atom.text) == 1 else ""
            return f"<mi{upright}>{text}</mi>"
        case "bold":
            return f"<mn>{''.join(_BOLD.get(c, c) for c in text)}</mn>"
        case "number":
            return f"<mn>{text}</mn>"
        case "double":
            return f'<mi mathvariant="normal">{text}</mi>'
        case "text":
            return f"<mtext>{_kept(text)}</mtext>"
        case "big":
            if atom.text in "∑∏":
                return f'<mo largeop="true" movablelimits="false" stretchy="false">{text}</mo>'
            return f'<mo movablelimits="false" lspace="0em" rspace=".17em">{text}</mo>'
    if atom.kind == "bracket":
        return _fence(text, "prefix" if text in "([" else "postfix", tall=False, deep=2)
    if prefix:
        return f'<mo form="prefix" lspace="0em" rspace="0em">{text}</mo>'
    if atom.text in f.RELATIONS:
        return f'<mo form="infix" lspace=".28em" rspace=".28em" stretchy="false">{text}</mo>'
    if atom.text in f.BINARY:
        return f'<mo form="infix" lspace=".22em" rspace=".22em">{text}</mo>'
    if atom.text in ",;":
        return f'<mo separator="true" lspace="0em" rspace=".17em">{text}</mo>'
    return f'<mo lspace="0em" rspace="0em" stretchy="false">{text}</mo>'


def _kept(text: str) -> str:
    """Text whose blanks at the ends are kept."""
    inner = text.strip(" ")
    before, _, after = text.partition(inner) if inner else ("", "", text)
    return "\u00a0" * len(before) + inner + "\u00a0" * len(after)


def _script(tree: f.Script) -> str:
    base = _one(tree.base) if f.items_of(tree.base) else "<mrow></mrow>"
    limits = isinstance(tree.base, f.Atom) and tree.base.kind == "big"
    under, over, both = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
    if tree.above is None:
        assert tree.below is not None
        return f"<{under}>{base}{_one(tree.below)}</{under}>"
    above = _one(tree.above)
    if isinstance(tree.base, f.Atom) and tree.base.kind == "name" and tree.base.text in _LEANS:
        above = f'<mrow><mspace width="{_LEANS[tree.base.text]}em"/>{above}</mrow>'
    if tree.below is None:
        return f"<{over}>{base}{above}</{over}>"
    return f"<{both}>{base}{_one(tree.below)}{above}</{both}>"


def _is_tall(tree: f.Formula) -> bool:
    """Whether brackets have to grow: around fractions, matrices, sums with limits, not around
    names with marks, which stand in plain brackets in print."""
    match tree:
        case f.Fraction() | f.Table() | f.Root():
            return True
        case f.Script(base=base):
            limits = isinstance(base, f.Atom) and base.kind == "big" and base.text in "∑∏"
            return limits or _is_tall(base)
        case f.Row(items=items):
            return any(map(_is_tall, items))
        case f.Fence(inside=inside) | f.Accent(base=inside) | f.Boxed(inside=inside):
            return _is_tall(inside)
        case _:
            return False


def _depth(tree: f.Formula) -> int:
    """How many brackets stand inside one another: outer ones are larger, to be told apart."""
    match tree:
        case f.Fence(inside=inside):
            return 1 + _depth(inside)
        case f.Row(items=items):
            return max(map(_depth, items), default=0)
        case f.Script(base=base):
            return _depth(base)
        case _:
            return 0


def _fence(sign: str, form: str, tall: bool = True, deep: int = 0) -> str:
    if not sign:
        return ""
    grows = "true" if tall or deep else "false"
    least = f' minsize="{(1.2, 1.5)[deep - 1]}em"' if deep and not tall else ""
    ends = f'fence="true" stretchy="{grows}"{least} lspace="0em" rspace="0em"'
    return f'<mo form="{form}" {ends}>{sign}</mo>'


def _table(tree: f.Table) -> str:
    sizes = f.columns_of_numbers(tree) if tree.kind == "matrix" else {}
    rows = "".join(
        "<mtr>"
        + "".join(f"<mtd>{_cell(cell, sizes.get(k))}</mtd>" for k, cell in enumerate(row))
        + "</mtr>"
        for row in tree.rows
    )
    if tree.kind == "cases":
        return f'<mrow>{_fence("{", "prefix")}<mtable class="cases">{rows}</mtable></mrow>'
    return (
        f'<mrow>{_fence("[", "prefix")}<mtable class="matrix">{rows}</mtable>'
        f'{_fence("]", "postfix")}</mrow>'
    )  # fmt: skip


# --- columns of numbers --------------------------------------------------------------------------
# `text-align` on cells is not honoured everywhere, so numbers are padded with what is not seen:
# all of a column are then equally wide, and their points stand below one another.


def _cell(cell: f.Formula, size: f.Digits | None) -> str:
    own = f.digits(cell) if size is not None else None
    if size is None or own is None:
        return write(cell)
    before = "0" * (size[1] - own[1])
    left = f"<mn>{before}</mn>" if before else ""
    left += _atom(f.Atom("sign", "−"), prefix=True) if size[0] and not own[0] else ""
    behind = ("." if size[2] and not own[2] else "") + "0" * (size[2] - own[2])
    pad = f"<mphantom>{left}</mphantom>" if left else ""
    end = f"<mphantom><mn>{behind}</mn></mphantom>" if behind else ""
    return f"<mrow>{pad}{write(cell)}{end}</mrow>" if pad or end else write(cell)
