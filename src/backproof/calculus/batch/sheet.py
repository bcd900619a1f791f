"""The batch sheet: from a sheet for one sample, the same network for many, as text and as a model.

`batch_sheet` is the way in. The text is a sheet like any other: it can be written out, checked,
differentiated and run. An equation keeps the reader's own spelling wherever that says the same for
a batch (checked on the typed graph), and is spelled anew where it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backproof.calculus.batch.roles import NewNames, Role, check_size, find_loss, given_roles
from backproof.calculus.batch.transform import Batched, Transform
from backproof.calculus.batch.written import as_written
from backproof.calculus.elaborate import Elaborator
from backproof.calculus.model import Model, build_model
from backproof.errors import BackproofError, ShapeProblem, Source
from backproof.language import syntax as ast
from backproof.language.format import unparse, unparse_set
from backproof.language.functions import FUNCTIONS
from backproof.language.sheet import parse_sheet
from backproof.operators.dims import ONE, SCALAR, Dim
from backproof.operators.node import Node
from backproof.operators.samples import Column, Matrix, Sampled, Samples, Shared
from backproof.operators.writing import dimension


@dataclass(frozen=True, eq=False)
class BatchSheet:
    """A sheet for many samples.

    text       the sheet, in the language
    model      its meaning
    single     the model of one sample that it came from
    size       the number of samples: a dimension's name, or digits
    rows       whether samples are rows (else columns)
    names      per-sample name -> name in the batch, of everything that has a place there
    roles      what became of each quantity, in the order of the per-sample sheet
    loss       the name of the averaged loss (as in the per-sample sheet)
    row        the name of the losses of the samples
    equations  the equations, per-sample names and batch names
    turned     per-sample names that are a row for one sample
    classes    per-sample name of a class counted from one -> its one-hot columns
    held       per-sample names that are carried inside the products that use them
    added      name of a given that was added -> why (one-hot rows, whose transpose is used)
    """

    text: str
    model: Model
    single: Model
    size: str
    rows: bool
    names: dict[str, str]
    roles: tuple[Role, ...]
    loss: str
    row: str
    equations: tuple[Batched, ...]
    turned: frozenset[str]
    classes: dict[str, str]
    held: tuple[str, ...]
    added: dict[str, str] = field(default_factory=dict)

    @property
    def loss_node(self) -> Node:
        """The averaged loss as a node of the batch model."""
        return self.model.leaves[self.loss]


def batch_sheet(
    model: Model,
    size: str = "b",
    rows: bool = False,
    shared: Sequence[str] = (),
    loss: str | None = None,
) -> BatchSheet:
    """The sheet for *size* samples; a BackproofError where it cannot be batched.

    shared   givens that are the same for every sample
    loss     the name of the loss, where it is not the sheet's last number
    """
    check_size(model, size)
    givens = given_roles(model, shared)
    loss = find_loss(model, loss)
    number = Dim.of(int(size)) if size.isdecimal() else Dim.of(size)
    names = NewNames(model, size)
    samples = Samples(model.graph, number, rows)
    work = Transform(model, samples, names)
    for name, (batched, _, _) in givens.items():
        (work.declare_data if batched else work.declare_shared)(name)
    row = names.row_of(loss)
    for name in model.sheet.order:
        work.equation(name, row if name == loss else None)
    if isinstance(work.forms[loss], Shared):
        raise ShapeProblem(
            f"The loss '{loss}' is the same for every sample, so there is nothing to average.",
            place=model.sheet.place(model.sheet.equations[loss].span),
            hint="define the loss from the data of a sample, such as L = bce(a, y)",
        )
    writer = _Writer(work, givens, loss, row)
    text = writer.text()
    folder = Path(model.sheet.source.name).parent
    source = Source(str(folder / f"batch of {Path(model.sheet.source.name).name}"), text)
    turned = {n for n, f in work.forms.items() if getattr(f, "turned", False)}
    return BatchSheet(
        text=text,
        model=build_model(parse_sheet(source)),
        single=model,
        size=size,
        rows=rows,
        names=dict(work.renamed),
        roles=tuple(_roles(work, givens, loss)),
        loss=loss,
        row=row,
        equations=tuple(work.equations),
        turned=frozenset(turned),
        classes={n: work.renamed[n] for n in givens if model.declared[n].kind == "range"
                 and givens[n][0]},
        held=tuple(work.held),
        added=writer.added,
    )  # fmt: skip


def _roles(work: Transform, givens: dict[str, tuple[bool, str, str]], loss: str) -> Iterable[Role]:
    for name, (batched, kind, why) in givens.items():
        renamed = work.renamed[name]
        if batched and work.model.declared[name].kind == "range":
            why += ", written as its one-hot column"
        yield Role(name, renamed, kind, batched, why)
    for name in work.model.sheet.equations:
        yield _computed(work, name, loss)


def _computed(work: Transform, name: str, loss: str) -> Role:
    if name in work.held:
        why = "a matrix for each sample: carried inside the products that use it"
        if not isinstance(work.forms[name], Matrix):
            why = "a class for each sample: used as its one-hot column"
        return Role(name, "", "computed", True, why)
    form: Sampled = work.forms[name]
    if isinstance(form, Shared):
        return Role(name, work.renamed[name], "computed", False, "computed from shared names only")
    if name == loss:
        return Role(name, work.renamed[name], "loss", True, "the loss of each sample")
    below = [n for n in work.model.sheet.uses[name] if not isinstance(work.forms[n], Shared)]
    return Role(name, work.renamed[name], "computed", True, f"computed from {', '.join(below)}")


class _Writer:
    """Writes the statements of the batch sheet."""

    def __init__(
        self, work: Transform, givens: dict[str, tuple[bool, str, str]], loss: str, row: str
    ) -> None:
        self.work = work
        self.model = work.model
        self.givens = givens
        self.loss, self.row = loss, row
        self.added: dict[str, str] = {}
        self._transposes: list[tuple[str, ast.Expr]] = []
        sheet = self.model.sheet
        self.reader = Elaborator(
            self.model.graph,
            sheet.source,
            work.leaves,
            {*sheet.dimensions, str(work.samples.size)},
            self.model.deriver,
            self.model.denominator,
        )

    def text(self) -> str:
        """The whole sheet."""
        sheet = self.model.sheet
        where = "rows" if self.work.samples.rows else "columns"
        lines = [f"# {sheet.title}"] if sheet.title else []
        lines.append(f"# For a batch of {self.work.samples.size} samples, in {where}")
        lines += [sheet.source.slice(s.span) for s in (sheet.round, sheet.layout) if s is not None]
        lines += [f"let {n} = {unparse(let.value)}" for n, let in sheet.lets.items()]
        lines += self._declarations()
        lines += self._assumptions()
        equations = self._equations()
        width = max(len(name) for name, _ in equations)
        lines += ["", *(f"{name:<{width}} = {expr}" for name, expr in equations)]
        lines += ["", "ask shapes"]
        learned = [n for n in self.model.learned if self.model.deriver.connected(
            self.model.definitions[self.loss], n)]  # fmt: skip
        if learned:
            lines.append(f"ask gradient {self.loss} wrt {', '.join(learned)}")
        return "\n".join(lines) + "\n"

    # --- declarations --------------------------------------------------------------------------

    def _declarations(self) -> list[str]:
        """Declarations, line by line as the reader grouped them."""
        groups: dict[tuple[str, int], list[tuple[list[str], str]]] = {}
        sheet = self.model.sheet
        for name, declaration in sheet.declarations.items():
            if self.givens[name][0]:
                shown, rest = self._data(name, declaration)
            else:
                shown, rest = name, self._unchanged(name, declaration)
            line = sheet.place(declaration.name_span).line
            group = groups.setdefault((declaration.role, line), [])
            if group and group[-1][1] == rest and rest.startswith("in"):
                group[-1][0].append(shown)
            else:
                group.append(([shown], rest))
        return [
            f"{role} " + ", ".join(f"{', '.join(names)} {rest}" for names, rest in group)
            for (role, _), group in groups.items()
        ]

    def _unchanged(self, name: str, declaration: ast.Declaration) -> str:
        rest = "" if declaration.set is None else f"in {unparse_set(declaration.set)}"
        if name in self.model.sheet.values:
            rest += f" = {unparse(self.model.sheet.values[name])}"
        elif declaration.file is not None:
            rest += f' = file("{declaration.file}")'
        return rest.strip()

    def _data(self, name: str, declaration: ast.Declaration) -> tuple[str, str]:
        """(name, set) of a given with the batch axis."""
        samples, renamed = self.work.samples, self.work.renamed[name]
        assert declaration.set is not None
        dims = declaration.set.dims
        shape = self.model.shape(name)
        length: ast.Expr | None = None
        if declaration.set.kind == "range":
            length = declaration.set.bounds[1]
        elif shape != SCALAR:
            written = [d for d in dims if not (isinstance(d, ast.Number) and d.value == 1)]
            length = written[0] if written else dimension(max(shape, key=lambda d: d != ONE))
        size = dimension(samples.size)
        if declaration.set.kind in ("onehot", "prob", "range"):
            kind = "prob" if declaration.set.kind == "prob" else "onehot"
            by_rows = f"in {unparse_set(ast.SetExpr(kind, (size, length or size)))}"
            if samples.rows:
                return renamed, by_rows
            rows = self.work.names.free(f"{renamed}_rows")
            self.added[rows] = f"the rows that {renamed} has as columns: {kind} promises rows"
            self._transposes.append((renamed, ast.Apply("transpose", (ast.Name(rows),))))
            return rows, by_rows
        one = dimension(ONE)
        if length is None:
            new = (size,) if samples.rows else (one, size)
        else:
            new = (size, length) if samples.rows else (length, size)
        return renamed, f"in {unparse_set(replace(declaration.set, dims=new))}"

    # --- equations -----------------------------------------------------------------------------

    def _equations(self) -> list[tuple[str, str]]:
        """(name, right-hand side), in the order of the per-sample sheet."""
        found = {e.name: e for e in self.work.equations}
        lines = [(n, unparse(e)) for n, e in self._transposes]
        for name in self.model.sheet.equations:
            if name in found:
                lines.append((found[name].renamed, unparse(self._side(found[name]))))
        lines.append((self.loss, f"mean({self.row})"))
        return lines

    def _side(self, equation: Batched) -> ast.Expr:
        """The right-hand side: the reader's spelling where it says the same, else a new one."""
        own = renamed_expr(self.model.sheet.equations[equation.name].expr, self.work.renamed)
        if self._says(own, equation.node):
            return own
        written = as_written(equation.node, known=self._spellings(equation.name))
        if written is None:
            raise self.work.problem(
                self.model.definitions[equation.name],
                equation.name,
                "has no words in the sheet language for a batch",
            )
        return written

    def _spellings(self, name: str) -> dict[int, ast.Expr]:
        """Nodes of the batch that the reader's own words still fit: `gelu(…)`, `norm(…, axis=0)`.

        What is the same for every sample is kept as it stands; a call is kept where calling the
        same function, over the entries of each sample, gives the same node.
        """
        known: dict[int, ast.Expr] = {}
        one = self.model.elaborator()
        parts = list(ast.walk(self.model.sheet.equations[name].expr))
        for part in reversed(parts):
            try:
                form = self.work.node(one.node(part))
                if isinstance(form, Shared):
                    own = renamed_expr(part, self.work.renamed)
                    if self._says(own, form.node):
                        known[form.node.id] = own
                elif isinstance(form, Column) and isinstance(part, ast.Apply):
                    call = self._call(part, form.node, one, known)
                    if call is not None:
                        known[form.node.id] = call
            except BackproofError:
                continue  # an index outside its sum, or a part that does not stand alone
        return known

    def _call(
        self, part: ast.Apply, node: Node, one: Elaborator, known: dict[int, ast.Expr]
    ) -> ast.Expr | None:
        if part.op not in FUNCTIONS:
            return None
        args: list[ast.Expr] = []
        for arg in part.args:
            form = self.work.node(one.node(arg))
            if not isinstance(form, Shared | Column):
                return None
            written = as_written(form.node, known=known)
            if written is None:
                return None
            args.append(written)
        axis = ("axis", dimension(Dim.of(self.work.samples.feature)))
        rest = tuple(o for o in part.options if o[0] != "axis")
        over = [(*rest, axis)] if "axis" in FUNCTIONS[part.op].options else []
        for options in (part.options, *over):
            call = ast.Apply(part.op, tuple(args), options)
            if self._says(call, node):
                return call
        return None

    def _says(self, expr: ast.Expr, node: Node) -> bool:
        if any(isinstance(n, ast.Name) and n.id in self.work.held for n in ast.walk(expr)):
            return False
        before = self.model.graph.may_bind
        self.model.graph.may_bind = False
        try:
            return self.reader.node(expr) is node and not self._takes_rows(expr)
        except BackproofError:
            return False
        finally:
            self.model.graph.may_bind = before

    def _takes_rows(self, expr: ast.Expr) -> bool:
        """Whether a single index takes a row of a matrix: `X[2]` is better written `X[2, :]`."""
        return any(
            isinstance(part, ast.Subscript)
            and len(part.items) == 1
            and ONE not in self.reader.node(part.base).shape
            for part in ast.walk(expr)
        )

    def _assumptions(self) -> list[str]:
        """Conditions on declared names, where they can be said for all samples at once."""
        lines = []
        for assume in self.model.sheet.assumes:
            own = renamed_expr(assume.condition, self.work.renamed)
            try:
                self.reader.node(own)
            except BackproofError:
                continue
            lines.append(f"assume {unparse(own)}")
        return lines


def renamed_expr(
    expr: ast.Expr, names: dict[str, str], bound: frozenset[str] = frozenset()
) -> ast.Expr:
    """The expression with quantities renamed; an index of a sum keeps its name."""

    def again(part: ast.Expr) -> ast.Expr:
        return renamed_expr(part, names, bound)

    match expr:
        case ast.Name(id=name):
            return ast.Name(names.get(name, name)) if name not in bound else expr
        case ast.Apply():
            options = tuple((k, again(v)) for k, v in expr.options)
            return replace(expr, args=tuple(map(again, expr.args)), options=options)
        case ast.Subscript():
            items = tuple(
                ast.Slice(
                    None if i.lower is None else again(i.lower),
                    None if i.upper is None else again(i.upper),
                )
                if isinstance(i, ast.Slice)
                else again(i)
                for i in expr.items
            )
            return replace(expr, base=again(expr.base), items=items)
        case ast.Array() | ast.TupleExpr():
            return replace(expr, items=tuple(map(again, expr.items)))
        case ast.Comprehension():
            inside = bound | {loop.name for loop in expr.loops}
            body = renamed_expr(expr.body, names, inside)
            conditions = tuple(renamed_expr(c, names, inside) for c in expr.conditions)
            return replace(expr, body=body, conditions=conditions)
        case _:
            return expr
