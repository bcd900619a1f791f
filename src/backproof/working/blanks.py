"""`blank …` on any ask: named pieces of a working are left out as numbered boxes, with a key.

What can be named: a quantity of the working (its left side where it is defined, its value where it
has one, its shape in a list of shapes, its node in a tree, its box in a schematic), a derivative
such as jac(z, W1) or grad(L, W1) (what stands behind its equals sign), shape(X) on an edge of a
schematic, or any expression that stands inside an equation. A name that is left out is left out
of every other line as well, so that nothing gives it away. `L: y` names y inside the line of L
only, and `L: y#2` its second place there. A blank that names nothing is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backproof.calculus.batch.sheet import renamed_expr
from backproof.calculus.latex import Latex
from backproof.errors import BackproofError, NameProblem, Source
from backproof.language import syntax as ast
from backproof.language.functions import nearest
from backproof.language.statements import parse_expression
from backproof.working import schematic as drawing
from backproof.working.spelled import line_latex
from backproof.working.steps import Step, Working
from backproof.working.writing import written

_HOLE = "blank__"
_SIGNED = r"(?:(?<![\w)\]] )(?<![\w)\]])-)?"  # a minus that is a sign, not a difference
_NOT_A_PLACE = ("heading", "note", "warning", "path", "error")
_NUMBERS = ("numbers", "result")
_DERIVATIVES = {"grad", "jac", "hess"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands in one box: its number, the answer, the line that it was taken from."""

    number: int
    text: str
    line: str


def with_blanks(working: Working, names: Sequence[str]) -> tuple[Working, Working]:
    """(the working with the named pieces left out, the answer key)."""
    work = _Blanking(working)
    for name in dict.fromkeys(names):
        work.leave_out(name)
    numbered = work.numbered()
    key = Working(
        f"{working.ask} (answers)",
        tuple(
            Step(
                f"[{a.number}]",
                f"[{a.number}] = {a.text}",
                work.answer_latex(a),
                because=_where(a),
                kind="result",
            )
            for a in work.answers
        ),
        {"answers": [{"number": a.number, "answer": a.text, "line": a.line} for a in work.answers]},
    )
    return numbered, key


def _where(answer: Answer) -> str:
    if answer.line in ("", answer.text):
        return ""
    return answer.line if answer.line.startswith("the ") else f"in {answer.line}"


def blanks_of_ask(working: Working, ask: ast.Ask) -> Working:
    """The answer to an ask with `blank …`: the questions, then the key."""
    return together(*with_blanks(working, [written(b) for b in ask.blanks]))


def together(blanked: Working, key: Working) -> Working:
    """One working: the questions, and the key at its end and in the data."""
    steps = (*blanked.steps, Step("", "Answer key", kind="heading"), *key.steps)
    return replace(blanked, steps=steps, data={**blanked.data, **key.data})


@dataclass
class _Blanking:
    """The working on its way: boxes carry marks that are numbered in reading order at the end."""

    working: Working
    steps: list[Step] = field(default_factory=list)
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)  # mark -> (answer, line)
    hidden: dict[str, int] = field(default_factory=dict)  # name -> mark, hidden everywhere
    sizes: dict[str, int] = field(default_factory=dict)  # name -> mark of its shape on edges
    gone: list[tuple[str, int]] = field(default_factory=list)  # to be boxed in all other lines
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = list(self.working.steps)
        plan = self.working.data.get("schematic")
        self.plan = drawing.from_data(plan) if plan else None
        self.tree = {n["name"] for n in self.working.data.get("nodes", ()) if "name" in n}
        sizes = {d for s in self.steps for d in s.shape or () if isinstance(d, str)}
        self.numbers = {s.label for s in self.steps if s.shape == ()} | sizes

    # --- finding what a name means --------------------------------------------------------------

    def leave_out(self, name: str) -> None:
        """Leaves out everything that *name* names; an error where that is nothing."""
        label, piece, place = _parts(name)
        if label is not None:
            found = self._inside(piece, label, place)
        elif self.plan is not None and any(b.id == piece for b in self.plan.boxes):
            found = self._box(piece)
        elif self.plan is not None and self._edge_size(piece):
            found = True
        elif piece in self.tree:
            found = self._node(piece)
        else:
            found = self._labelled(piece) or self._inside(piece, None, place)
        if not found:
            raise self._nothing(name)

    def _nothing(self, name: str) -> NameProblem:
        asked = self.working.ask.partition(" blank ")[0]
        labels = [s.label for s in self.steps if s.label and s.kind not in _NOT_A_PLACE]
        close = nearest(name, labels)
        hint = f"did you mean '{close}'?" if close else ""
        if not hint and labels:
            hint = f"lines that can be named: {', '.join(dict.fromkeys(labels[:12]))}"
        return NameProblem(
            f"'{name}' names nothing in the answer to 'ask {asked}', so there is nothing to "
            "leave blank.",
            hint=hint,
        )

    def _mark(self, answer: str, line: str) -> int:
        mark = len(self.texts)
        self.texts[mark] = (answer, line)
        return mark

    # --- lines ----------------------------------------------------------------------------------

    def _labelled(self, piece: str) -> bool:
        """The line, or the value, of a name; what a derivative is."""
        wanted = _alias(piece)
        places = [
            k
            for k, s in enumerate(self.steps)
            if _plain(s.label) == wanted and s.kind not in (*_NOT_A_PLACE, "tree")
        ]
        if not places:
            return False
        results = [k for k in places if self.steps[k].value is not None]
        if results:
            self._value(results)
            return True
        shapes = self.working.ask.startswith("shapes")
        for k in places:
            step = self.steps[k]
            if shapes and ": " in step.text:
                head, _, tail = step.text.rpartition(": ")
                mark = self._mark(tail, f"the shape in {head}")
                self.steps[k] = replace(
                    step, text=f"{head}: {_box(mark)}", latex="", shape=None, because=""
                )
            elif piece != step.label or step.label.startswith("∂") or " = " not in step.text:
                right = step.text.partition(" = ")[2]
                self._replace_right(k, self._mark(right, f"the line of {step.label}"))
            else:
                mark = self._mark(step.label, step.text)
                self._replace_left(k, mark)
                self.gone.append((step.label, mark))
        return True

    def _everywhere(self, name: str, mark: int) -> None:
        """A name that is left out, in all other lines: formulas, reasons and notes."""
        if not re.fullmatch(r"[^\W\d]\w*", name):
            return
        for k, step in enumerate(self.steps):
            prose = step.kind in ("heading", "note", "warning")
            text = _untold(step.text, name, mark) if prose else _without(step.text, name, mark)
            because = _untold(step.because, name, mark)
            if (text, because) == (step.text, step.because):
                continue
            latex = step.latex
            if latex and text != step.text:
                latex = line_latex(text, self.numbers, step.label)
            label = _without(step.label, name, mark)
            self.steps[k] = replace(step, label=label, text=text, latex=latex, because=because)

    def _value(self, results: Sequence[int]) -> None:
        """The value of a name, and its numbers wherever later lines carry them on."""
        step = self.steps[results[-1]]
        answer = step.text.rpartition("= ")[2]
        mark = self._mark(answer, f"the value of {step.label}")
        for k in results:
            self._replace_right(k, mark, last=True)
        stated = " ".join(s.text for s in self.steps if s.because in ("given", "learned"))
        known = set(re.findall(r"\d+\.\d+", stated))
        numbers = [n for n in re.findall(r"\d+\.\d+", answer) if n not in known]
        if not numbers:
            return
        inner = "|".join(re.escape(n) for n in dict.fromkeys(numbers))
        pattern = re.compile(rf"{re.escape(answer)}|(?<![\d.]){_SIGNED}(?:{inner})(?!\d)")
        for k, other in enumerate(self.steps):
            if other.because in ("given", "learned") or other.label == step.label:
                continue
            text = pattern.sub(_box(mark), other.text) if other.kind in _NUMBERS else other.text
            tells = other.value is not None and pattern.search(str(other.value))
            self.steps[k] = replace(
                other,
                text=text,
                latex=other.latex if text == other.text else "",
                value=None if tells else other.value,
            )

    def _replace_right(self, k: int, mark: int, *, last: bool = False) -> None:
        step = self.steps[k]
        cut = step.text.rpartition if last else step.text.partition
        head, sign, _ = cut("= ")
        left = step.latex.partition(" = ")[0] if " = " in step.latex else ""
        self.steps[k] = replace(
            step,
            text=f"{head}{sign}{_box(mark)}",
            latex=f"{left} = {_latex_box(mark)}" if left else "",
            because="",
            value=None,
            verified=None,
        )

    def _replace_left(self, k: int, mark: int) -> None:
        step = self.steps[k]
        _, sign, tail = step.text.partition(" = ")
        right = step.latex.partition(" = ")[2]
        latex = f"{_latex_box(mark)} = {right}" if right else ""
        self.steps[k] = replace(step, label="", text=f"{_box(mark)}{sign}{tail}", latex=latex)

    # --- pieces inside a line -------------------------------------------------------------------

    def _inside(self, piece: str, label: str | None, place: int | None) -> bool:
        """Every place where an expression stands inside the right side of an equation."""
        found = False
        for k, step in enumerate(self.steps):
            if step.kind in (*_NOT_A_PLACE, "tree", "numbers") or step.value is not None:
                continue
            if label is not None and _plain(step.label) != _alias(label):
                continue
            head, sign, right = step.text.partition(" = ")
            spans = _places(right, piece) if sign else []
            line = self.working.steps[k].text
            if place is not None:
                spans = spans[place - 1 : place]
            for start, end in reversed(spans):
                mark = self._mark(right[start:end], line)
                right = right[:start] + _box(mark) + right[end:]
                step = replace(step, latex=_in_latex(step.latex, piece, mark))
            if spans:
                found = True
                self.steps[k] = replace(step, text=f"{head}{sign}{right}")
        if found and label is None and place is None:
            self.gone.append((piece, len(self.texts) - 1))
        return found

    # --- trees and schematics -------------------------------------------------------------------

    def _node(self, name: str) -> bool:
        """A node of a tree, wherever it stands."""
        lines = "\n".join(s.text for s in self.steps if s.kind == "tree")
        found = re.search(rf"(?<![\w.]){re.escape(name)}(?: = .*?)?(?=   \[)", lines)
        mark = self._mark(found[0] if found else name, "")
        self.hidden[name] = mark
        pattern = re.compile(
            rf"^([│├└─\s]*){re.escape(name)}(?: = .*?)?(?=   \[| \(|$)", re.MULTILINE
        )
        for k, step in enumerate(self.steps):
            text = step.text
            if step.kind == "tree":
                text = pattern.sub(lambda m: m[1] + _box(mark), text)
            text = _without(text, name, mark)
            label = "" if step.label == name else step.label
            self.steps[k] = replace(step, text=text, label=label)
        return True

    def _box(self, name: str) -> bool:
        """A box of a schematic and the line of its equation; both are one question."""
        assert self.plan is not None
        box = next(b for b in self.plan.boxes if b.id == name)
        answer = f"{box.label} = {box.equation}" if box.equation else box.label
        mark = self._mark(answer, "")
        self.hidden[name] = mark
        for k, step in enumerate(self.steps):
            if step.label == name and step.kind == "equation":
                self.steps[k] = replace(
                    step, label="", text=_box(mark), latex=_latex_box(mark), because=""
                )
        self.gone.append((name, mark))
        return True

    def _edge_size(self, piece: str) -> bool:
        """shape(X): the shape on the edges that leave the box of X."""
        assert self.plan is not None
        found = re.fullmatch(r"shape\((\w+)\)", piece)
        if not found or not any(e.start == found[1] for e in self.plan.edges):
            return False
        size = next(e.shape for e in self.plan.edges if e.start == found[1])
        place = f"the shape on the edge from {found[1]}"
        self.sizes[found[1]] = self._mark(drawing.size_text(size), place)
        told = re.compile(rf"(?:∂\w+/∂)?{found[1]}")
        for k, step in enumerate(self.steps):
            if told.fullmatch(step.label):
                self.steps[k] = replace(step, shape=None)
        return True

    def _redrawn(self) -> drawing.Schematic | None:
        if self.plan is None:
            return None

        def named(name: str) -> str:
            return _box(self.hidden[name]) if name in self.hidden else name

        def told(text: str) -> str:
            for name, mark in self.hidden.items():
                text = _without(text, name, mark)
            return text

        def size(name: str, shape: drawing.Size) -> drawing.Size:
            return (_box(self.sizes[name]),) if name in self.sizes else shape

        boxes = tuple(
            replace(
                b,
                id=named(b.id),
                label=named(b.label),
                kind="hidden" if b.id in self.hidden else b.kind,
                equation="" if b.id in self.hidden else told(b.equation),
                parameters=() if b.id in self.hidden else b.parameters,
                shared=() if b.id in self.hidden else b.shared,
                partners=tuple(map(named, b.partners)),
                twin="" if b.id in self.hidden else told(b.twin),
                shape=size(b.id, b.shape),
            )
            for b in self.plan.boxes
        )
        edges = tuple(
            replace(
                e,
                start=named(e.start),
                end=named(e.end),
                gradient=told(e.gradient),
                shape=size(e.start, e.shape),
            )
            for e in self.plan.edges
        )
        return drawing.Schematic(boxes, edges)

    # --- the end --------------------------------------------------------------------------------

    def answer_latex(self, answer: Answer) -> str:
        """The line of the key as LaTeX; "" where the answer is words."""
        if not re.search(r"[\w\]]$|\)$|\.T$", answer.text) or re.search(r"\ba \w", answer.text):
            return ""
        found = line_latex(f"⟦{answer.number}⟧ = {answer.text}", self.numbers)
        return found.replace("⟦", "").replace("⟧", "")

    def numbered(self) -> Working:
        """The working with its boxes numbered in reading order."""
        for name, mark in self.gone:  # last, so that `relu(z)` is found when z is left out too
            self._everywhere(name, mark)
        plan = self._redrawn()
        steps = self._telling_nothing(plan)
        order: dict[int, int] = {}
        for step in steps:
            for found in re.finditer(r"⟦(\d+)⟧", step.text):
                order.setdefault(int(found[1]), len(order) + 1)
        for mark in self.texts:
            order.setdefault(mark, len(order) + 1)
        self.answers = [
            Answer(number, *self.texts[mark])
            for mark, number in sorted(order.items(), key=lambda item: item[1])
        ]
        drawn = None if plan is None else _numbered_plan(plan, order)
        done = [
            replace(
                s,
                label=_numbered_text(s.label, order),
                text=drawing.draw(drawn)
                if drawn is not None and s.label == "schematic"
                else _numbered_text(s.text, order),
                latex=_numbered_latex(s.latex, order),
                because=_numbered_text(s.because, order),
            )
            for s in steps
        ]
        return Working(self.working.ask, tuple(done), self._data(drawn, order))

    def _telling_nothing(self, plan: drawing.Schematic | None) -> list[Step]:
        """The steps, without those that would give a box of a schematic away."""
        if plan is None or not (self.hidden or self.sizes):
            return self.steps
        names = set(self.hidden)

        def tells(step: Step) -> bool:
            if step.kind == "note":
                words = set(re.findall(r"\w+", step.text))
                hides = "⟦" in step.text or bool(names & words)
                return hides or (bool(self.sizes) and "×" in step.text)
            return step.label == "sheet" or (step.kind == "heading" and "as a sheet" in step.text)

        return [
            replace(s, text=drawing.draw(plan)) if s.label == "schematic" else s
            for s in self.steps
            if not tells(s)
        ]

    def _data(self, plan: drawing.Schematic | None, order: Mapping[int, int]) -> dict[str, Any]:
        """The data that tells no answer: the schematic or tree with its boxes, and how many."""
        data: dict[str, Any] = {"blanks": len(order)}
        if plan is not None:
            data["schematic"] = plan.data()
            data |= {k: self.working.data[k] for k in ("size", "rows") if k in self.working.data}
        if "nodes" in self.working.data:
            tree = {k: self.working.data[k] for k in ("root", "nodes", "edges")
                    if k in self.working.data}  # fmt: skip
            nodes = [
                {**n, "equation": None} if n.get("name") in self.hidden else n
                for n in tree.get("nodes", ())
            ]

            def named(text: str) -> str:
                for name, mark in self.hidden.items():
                    text = _without(text, name, mark)
                return _numbered_text(text, order)

            data |= _mapped({**tree, "nodes": nodes}, named)
        return data


def _mapped(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return change(data)
    if isinstance(data, Mapping):
        return {k: _mapped(v, change) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_mapped(v, change) for v in data]
    return data


def _numbered_plan(plan: drawing.Schematic, order: Mapping[int, int]) -> drawing.Schematic:
    """The schematic with numbers in place of marks."""
    return drawing.from_data(_mapped(plan.data(), lambda text: _numbered_text(text, order)))


# --- boxes ----------------------------------------------------------------------------------------


def _box(mark: int) -> str:
    return f"⟦{mark}⟧"


def _latex_box(mark: int) -> str:
    return rf"\boxed{{⟦{mark}⟧}}"


def _numbered_text(text: str, order: Mapping[int, int]) -> str:
    return re.sub(r"⟦(\d+)⟧", lambda m: f"[{order[int(m[1])]}]", text)


def _numbered_latex(text: str, order: Mapping[int, int]) -> str:
    return re.sub(r"⟦(\d+)⟧", lambda m: str(order[int(m[1])]), text)


# --- names and places -----------------------------------------------------------------------------


def _parts(name: str) -> tuple[str | None, str, int | None]:
    """(label or None, piece, which place or None) of `L: y#2`."""
    label, sign, piece = name.partition(": ")
    if not sign:
        label, piece = "", name
    place: int | None = None
    found = re.fullmatch(r"(.*)#(\d+)", piece)
    if found:
        piece, place = found[1], int(found[2])
    return label.strip() or None, piece.strip(), place


def _plain(text: str) -> str:
    return text.replace(" ", "")


def _alias(piece: str) -> str:
    """`jac(z, W1)` and `grad(z, W1)` name the line that is labelled ∂z/∂W1."""
    found = re.fullmatch(r"(\w+)\(([^(),]+),([^(),]+)\)", _plain(piece))
    if found and found[1] in _DERIVATIVES:
        return f"∂{found[2]}/∂{found[3]}"
    return _plain(piece)


def _places(text: str, piece: str) -> list[tuple[int, int]]:
    """Where *piece* stands in a text as an operand of its own, not as part of another one."""
    tokens = re.findall(r"\w+(?:\.\d+)?|\*\*|\.T|[^\w\s]", piece)
    if not tokens:
        return []
    pattern = r"\s*".join(map(re.escape, tokens))
    before = r"(?<![\w.⟦])" if re.match(r"\w", tokens[0]) else ""
    after = r"(?![\w⟧])" if re.search(r"\w$", tokens[-1]) else ""
    found = [m.span() for m in re.finditer(before + pattern + after, text)]
    return [span for span in found if _is_operand(text, *span)]


def _is_operand(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is a part of the expression: `a + b` is none of `a + b*c`."""
    plain = re.sub(r"⟦\d+⟧", "boxed__", text)
    if plain != text:
        return True
    try:
        whole = parse_expression(Source("line", text))
        part = parse_expression(Source("piece", text[start:end]))
        holed = parse_expression(Source("line", f"{text[:start]}{_HOLE}{text[end:]}"))
    except BackproofError:
        return True
    return _filled(holed, part) == whole


def _filled(expr: ast.Expr, part: ast.Expr) -> ast.Expr:
    """The expression with the hole filled."""
    if isinstance(expr, ast.Name):
        return part if expr.id == _HOLE else expr
    if isinstance(expr, ast.Apply):
        options = tuple((k, _filled(v, part)) for k, v in expr.options)
        return replace(expr, args=tuple(_filled(a, part) for a in expr.args), options=options)
    if isinstance(expr, ast.Comprehension):
        return replace(expr, body=_filled(expr.body, part))
    if isinstance(expr, ast.Subscript):
        return replace(expr, base=_filled(expr.base, part))
    if isinstance(expr, ast.Array | ast.TupleExpr):
        return replace(expr, items=tuple(_filled(i, part) for i in expr.items))
    return renamed_expr(expr, {})


def _in_latex(latex: str, piece: str, mark: int) -> str:
    """The LaTeX with the last place of a piece boxed; "" where it cannot be found."""
    if not latex:
        return ""
    try:
        shown = Latex()(parse_expression(Source("piece", piece)))
    except BackproofError:
        return ""
    at = latex.rfind(shown)
    return "" if at < 0 else latex[:at] + _latex_box(mark) + latex[at + len(shown) :]


def _untold(text: str, name: str, mark: int) -> str:
    """A sentence with the name boxed; a letter that is also a word of English stays a word."""
    return text if name in ("a", "i", "A", "I") else _without(text, name, mark)


def _without(text: str, name: str, mark: int) -> str:
    """The text of other lines with the name boxed."""
    return re.sub(rf"(?<![\w.⟦]){re.escape(name)}(?![\w⟧])", _box(mark), text)
