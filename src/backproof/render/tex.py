r"""Text that TeX can set: escaped, with signs beyond ASCII as commands that every engine knows.

What pdflatex has no glyph for becomes \unicodechar{code}{character}, which lualatex prints.
"""

from __future__ import annotations

import re

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}",
}  # fmt: skip
_MATH = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "ζ": r"\zeta", "η": r"\eta", "θ": r"\theta", "ι": r"\iota", "κ": r"\kappa", "λ": r"\lambda",
    "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi", "ο": "o", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma",
    "ς": r"\varsigma", "τ": r"\tau", "υ": r"\upsilon", "φ": r"\varphi", "ϕ": r"\phi",
    "χ": r"\chi", "ψ": r"\psi", "ω": r"\omega", "Γ": r"\Gamma", "Δ": r"\Delta",
    "Θ": r"\Theta", "Λ": r"\Lambda", "Ξ": r"\Xi", "Π": r"\Pi", "Σ": r"\Sigma", "Υ": r"\Upsilon",
    "Φ": r"\Phi", "Ψ": r"\Psi", "Ω": r"\Omega", "∂": r"\partial", "∇": r"\nabla", "→": r"\to",
    "←": r"\leftarrow", "⇒": r"\Rightarrow", "×": r"\times", "·": r"\cdot", "⊙": r"\odot",
    "⊗": r"\otimes", "−": "-", "±": r"\pm", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq",
    "≈": r"\approx", "∈": r"\in", "∞": r"\infty", "ᵀ": r"^{\top}", "ℝ": r"\mathbb{R}",
    "√": r"\surd", "‖": r"\Vert", "∑": r"\Sigma", "∏": r"\Pi", "½": r"\tfrac{1}{2}",
    "¼": r"\tfrac{1}{4}", "¾": r"\tfrac{3}{4}", "⁻": "^{-}", "′": "'", "∥": r"\parallel",
    "⟨": r"\langle", "⟩": r"\rangle", "…": r"\dots", "⋯": r"\cdots", "⋮": r"\vdots",
} | {c: f"^{n}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {
    c: f"_{n}" for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")
}  # fmt: skip
_TEXT = {
    "–": "--", "—": "---", "’": "'", "‘": "`", "“": "``", "”": "''", "\u00a0": "~",
    "│": "|", "├": "|", "└": "`", "─": "-", "•": r"\textbullet{}",
    "⎡": "[", "⎢": "[", "⎣": "[", "⎤": "]", "⎥": "]", "⎦": "]",
}  # fmt: skip


def escape(text: str) -> str:
    """Prose for TeX."""
    return "".join(map(_char, text))


def _char(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    if c in _MATH:
        return rf"\ensuremath{{{_MATH[c]}}}"
    if c in _TEXT:
        return _TEXT[c]
    if c in "\n\t":
        return " "
    if " " <= c <= "~" or "\u00c0" <= c <= "\u017f":  # Latin letters, which T1 fonts have
        return c
    if c.isprintable():
        return rf"\unicodechar{{{ord(c):04X}}}{{{c}}}"
    return ""


def monospace(text: str) -> str:
    """A line of source or of a drawing, its spaces kept."""
    inner = escape(text).replace("--", "-{}-").replace("''", "'{}'").replace("``", "`{}`")
    return rf"\texttt{{{inner.replace(' ', chr(92) + ' ')}}}"


def breakable(text: str) -> str:
    """A formula in the sheet's own spelling, which may be broken at its spaces."""
    if not text:
        return ""
    inner = escape(text).replace("--", "-{}-").replace("''", "'{}'")
    return rf"\texttt{{{inner}}}"


LONG = 100  # characters of LaTeX; such a formula may not fit on a line
_MATH_CHARS = re.compile(r"[^\x00-\x7f]")


def math(latex: str) -> str:
    """A formula for math mode: signs beyond ASCII as commands, rare glyphs replaced."""
    latex = latex.replace(r"\mathbb{1}", r"\mathbf{1}").replace("\n", " ")
    if len(latex) > LONG:
        latex = _breakable_brackets(latex).replace(r"\,", r"\,\allowbreak ")
    return _MATH_CHARS.sub(lambda m: _math_char(m[0]), latex)


_BRACKET = re.compile(r"\\(left|right)(?![a-zA-Z])")


def _breakable_brackets(latex: str) -> str:
    """Without growing brackets, which no line can be broken in, but around short fractions."""
    opened: list[int] = []
    dropped: list[int] = []
    found = list(_BRACKET.finditer(latex))
    for n, match in enumerate(found):
        if match[1] == "left":
            opened.append(n)
        elif opened:
            first = opened.pop()
            inside = latex[found[first].end() : match.start()]
            tall = any(word in inside for word in (r"\frac", r"\begin", r"\sum", r"\prod"))
            if not tall or (len(inside) > LONG and r"\begin" not in inside):
                dropped += [first, n]
    for n in sorted(dropped, reverse=True):
        match = found[n]
        end = match.end() + latex.startswith(".", match.end())
        latex = latex[: match.start()] + latex[end:]
    return latex


def _math_char(c: str) -> str:
    if c in _MATH:
        return _MATH[c] + (" " if _MATH[c].startswith("\\") else "")
    return rf"\text{{{_char(c)}}}"


# --- Markdown ----------------------------------------------------------------------------------

_INLINE = re.compile(
    r"(?P<code>`+)(?P<coded>.+?)(?P=code)"
    r"|\*\*(?P<bold>[^*]+)\*\*"
    r"|(?<!\w)[*_](?P<italic>[^*_\s](?:[^*_]*[^*_\s])?)[*_](?!\w)"
    r"|\[(?P<link>[^\]]*)\]\([^)]*\)"
    r"|\\(?P<escaped>[\\`*_{}\[\]()#+\-.!|<>~$&])"
)
# x_1, W_A1ᵀ, D_2: how a paper in plain text writes an index
_INDEX = re.compile(r"(?<![\w`])([^\W\d_]{1,2})_([A-Za-z]?\d?|\w)(?![A-Za-z0-9_])")


def inline(text: str) -> str:
    """One paragraph of Markdown as TeX: code, bold, italics, links, names with an index."""
    out, at = [], 0
    for m in _INLINE.finditer(text):
        out.append(_words(text[at : m.start()]))
        if m["coded"] is not None:
            out.append(breakable(m["coded"].strip()))
        elif m["bold"] is not None:
            out.append(rf"\textbf{{{_words(m['bold'])}}}")
        elif m["italic"] is not None:
            out.append(rf"\emph{{{_words(m['italic'])}}}")
        elif m["link"] is not None:
            out.append(inline(m["link"]))
        else:
            out.append(escape(m["escaped"]))
        at = m.end()
    out.append(_words(text[at:]))
    return "".join(out)


def _words(text: str) -> str:
    out, at = [], 0
    for m in _INDEX.finditer(text):
        if not m[2]:
            continue
        out.append(escape(text[at : m.start()]))
        out.append(rf"\ensuremath{{{math(m[1])}_{{{math(m[2])}}}}}")
        at = m.end()
    out.append(escape(text[at:]))
    return "".join(out)


_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r" {0,6}(?:[-*+]|(\d+)[.)])\s+(.*)$")
_LEVELS = ("section*", "subsection*", "subsubsection*", "paragraph", "paragraph", "paragraph")


def markdown(text: str) -> str:
    """Markdown prose as TeX: headings, paragraphs, lists, quoted source; the rest as it stands."""
    out: list[str] = []
    paragraph: list[str] = []
    fence = ""

    def end_paragraph() -> None:
        if paragraph:
            out.append(inline(" ".join(row.strip() for row in paragraph)) + "\n")
            paragraph.clear()

    for row in text.split("\n"):
        bare = row.strip()
        marker = re.match(r"(`{3,}|~{3,})", bare)
        heading, item = _HEADING.match(row), _ITEM.match(row)
        if fence:
            if bare.startswith(fence) and not bare.strip(fence[0]):
                fence = ""
                out.append("")
            else:
                out.append(rf"\noindent {monospace(row)}\par" if bare else r"\smallskip")
            continue
        if marker or heading or item or not bare or bare.startswith("|"):
            end_paragraph()
        if marker:
            fence = marker[1]
        elif heading:
            out.append(rf"\{_LEVELS[len(heading[1]) - 1]}{{{inline(heading[2])}}}" + "\n")
        elif item:
            mark = f"{item[1]}." if item[1] else r"\textbullet{}"
            paragraph.append(item[2])
            text_of = inline(" ".join(paragraph))
            paragraph.clear()
            out.append(rf"\noindent\hangindent=2em\hangafter=1 {mark}\quad {text_of}\par" + "\n")
        elif bare.startswith("|"):
            if not re.fullmatch(r"[|:\-\s]+", bare):
                cells = [inline(c.strip()) for c in bare.strip("|").split("|")]
                out.append(r"\noindent " + r"\quad ".join(cells) + r"\par")
        elif bare:
            paragraph.append(row)
    end_paragraph()
    return "\n".join(out)
