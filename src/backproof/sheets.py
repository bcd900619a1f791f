"""The Python interface: a sheet whose questions are methods.

    >>> import backproof as bp
    >>> s = bp.Sheet("given x in R[3]\\nlearn w in R[3]\\nL = (w.T @ x)**2")
    >>> print(s.check("grad(L, w) == 2*(w.T @ x)*x").verdict)
    proved

Every answer prints itself in a terminal and in a notebook, and exports itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backproof.errors import BackproofError, FileProblem, Source
from backproof.language.files import read_sheets
from backproof.language.sheet import Sheet as ParsedSheet
from backproof.language.sheet import parse_sheet
from backproof.render.answers import Answer, Verdict, Worked

if TYPE_CHECKING:
    from backproof.calculus.model import Model
    from backproof.engine.compiled import Compiled
    from backproof.engine.curvature import Function, Hessian
    from backproof.engine.training import Trained
    from backproof.working import claims

__all__ = ["Sheet", "read"]


def read(path: str | os.PathLike[str], name: str | None = None) -> Sheet:
    """The sheet of a file; of a Markdown paper, the one called *name*.

    Raises a BackproofError that says where, when the file or the sheet cannot be read.
    """
    blocks = read_sheets(Path(path)).sheets
    named = [block for block in blocks if name is None or block.name == name]
    if len(named) != 1:
        names = ", ".join(f"'{block.name}'" for block in blocks if block.name)
        wanted = "no sheet" if not blocks else f"{len(blocks)} sheets"
        what = f"'{path}' has {wanted}" if name is None else f"'{path}' has no one sheet '{name}'"
        raise FileProblem(
            f"{what}; expected one.", hint=f'name it: read("{path}", "…"), one of {names}'
        )
    (block,) = named
    if block.sheet is None:
        assert block.error is not None
        raise block.error
    return Sheet._of(block.sheet)


class Sheet:
    """A network as it is written on paper, with everything that can be asked about it.

    text   the statements of the sheet language
    name   what errors call it; values from files are looked for beside a sheet with this path
    """

    def __init__(self, text: str, name: str = "sheet") -> None:
        self._sheet = parse_sheet(Source(name, text))
        self._model: Model | None = None
        self._build()

    @classmethod
    def _of(cls, parsed: ParsedSheet) -> Sheet:
        sheet = cls.__new__(cls)
        sheet._sheet = parsed
        sheet._model = None
        sheet._build()
        return sheet

    def _build(self) -> Model:
        if self._model is None:
            from backproof.calculus.model import build_model

            self._model = build_model(self._sheet)
        return self._model

    # --- what the sheet says -------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The first line of the comment at the top."""
        return self._sheet.title

    @property
    def text(self) -> str:
        """The sheet as written."""
        return self._sheet.source.slice(self._sheet.region)

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the data."""
        return self._sheet.given

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return self._sheet.learned

    def shape(self, name: str) -> tuple[int | str, ...]:
        """The shape of one name: `()` a number, `(3,)` a column; sizes are int or text."""
        from backproof.working.writing import step_shape

        model = self._build()
        if name not in model.leaves:
            raise BackproofError(f"The sheet has no '{name}'.")
        return step_shape(model.shape(name))

    # --- asking --------------------------------------------------------------------------------

    def ask(self, question: str) -> Answer:
        """The answer to what would stand behind `ask` in a sheet: `ask("gradient L wrt W1")`."""
        from backproof.working.answer import answer_question

        return Answer(answer_question(self._build(), question))

    def shapes(self, *expressions: str) -> Answer:
        """The shapes of every name, or of the expressions."""
        return self.ask(_asked("shapes", expressions))

    def forward(self) -> Answer:
        """The equations, and their values where values are given."""
        return self.ask("forward")

    def value(self, expression: str) -> Answer:
        """The value of an expression, worked out."""
        return self.ask(f"value {expression}")

    def tree(self, target: str | None = None) -> Answer:
        """The computational graph from a target (the loss, by default) down to the leaves."""
        return self.ask(f"tree {target or self.loss}")

    def gradient(self, target: str | None = None, wrt: str | Sequence[str] | None = None) -> Answer:
        """The gradient of a number (the loss) by a name, or by several (everything learned)."""
        from backproof.working.answer import gradient_question

        names = [wrt] if isinstance(wrt, str) else wrt
        return self.ask(gradient_question(self._build(), target, names))

    def step(self, *names: str, rate: float | str | None = None) -> Answer:
        """One step of gradient descent for the named parameters, or for all."""
        from backproof.working.answer import step_question

        return self.ask(step_question(self._build(), names, None if rate is None else str(rate)))

    def batch(
        self,
        size: str,
        *,
        rows: bool = False,
        samples: int | None = None,
        shared: Sequence[str] = (),
    ) -> Answer:
        """The same network for a batch of samples, as columns or as rows.

        samples   the number of samples in the data, for an epoch's arithmetic
        shared    givens that are the same for every sample
        """
        words = [f"batch {size}", *(["rows"] if rows else [])]
        words += [f"samples {samples}"] if samples is not None else []
        words += [f"shared {', '.join(shared)}"] if shared else []
        return self.ask(" ".join(words))

    def slow(self, name: str) -> Answer:
        """When the update of a parameter is small."""
        return self.ask(f"slow {name}")

    def weights(self, *losses: str) -> Answer:
        """What the weights of a loss mean."""
        return self.ask(_asked("weights", losses))

    @property
    def loss(self) -> str:
        """The name of the number that training makes smaller."""
        from backproof.working.answer import require_loss

        return require_loss(self._build())

    # --- claims --------------------------------------------------------------------------------

    def check(self, claim: str) -> Verdict:
        """The verdict on a claim over this sheet's names: `check("grad(L, z) == a - y")`."""
        from backproof.working.answer import judge

        return self._shown(judge(self._build(), claim))

    def _shown(self, verdict: claims.Verdict) -> Verdict:
        from backproof.working.spelled import formulas

        told = (verdict.text, verdict.suggestion, verdict.difference)
        return Verdict.of(verdict, formulas(self._build(), told))

    def check_all(self) -> list[Verdict]:
        """The verdicts on the claims that stand in the sheet."""
        from backproof.working.claims import check_claims

        return [self._shown(verdict) for verdict in check_claims(self._build())]

    def work(self) -> Worked:
        """Everything that the sheet asks and claims; the whole working where it asks nothing."""
        from backproof.working.report import work_sheet

        return Worked(work_sheet(self._sheet))

    # --- running -------------------------------------------------------------------------------

    def compile(
        self,
        target: str | None = None,
        wrt: str | Sequence[str] | None = None,
        *,
        engine: str = "auto",
        dtype: str = "float64",
        reuse: bool = False,
    ) -> Compiled:
        """A function of named arrays that gives `(value, {name: gradient})`.

        target   a number: a name or an expression; the loss, if left out
        wrt      one name or several; everything learned, if left out; `[]` for the value alone
        engine   "numpy", "jax", "numba", or "auto", which picks by size and says why (`f.why`)
        reuse    results are the function's own arrays, overwritten by the next call
        """
        from backproof.engine.compiled import compile_gradient

        model = self._build()
        return compile_gradient(
            model, target or self.loss, wrt, engine=engine, dtype=dtype, reuse=reuse
        )

    def compile_jacobian(
        self, target: str, wrt: str, *, engine: str = "auto", dtype: str = "float64"
    ) -> Function:
        """A function of named arrays that gives all partial derivatives, in the sheet's layout."""
        from backproof.engine.curvature import compile_jacobian

        return compile_jacobian(self._build(), target, wrt, engine=engine, dtype=dtype)

    def compile_hessian(
        self,
        target: str | None = None,
        wrt: str | None = None,
        *,
        structured: bool = False,
        engine: str = "auto",
        dtype: str = "float64",
    ) -> Hessian:
        """A function of named arrays that gives the second derivatives by one name.

        structured   it gives `.dense() .matvec(V) .solve(G)`, in whatever structure was found
        """
        from backproof.engine.curvature import compile_hessian

        return compile_hessian(
            self._build(), target or self.loss, self._one(wrt), structured=structured,
            engine=engine, dtype=dtype,
        )  # fmt: skip

    def compile_hvp(
        self,
        target: str | None = None,
        wrt: str | None = None,
        *,
        engine: str = "auto",
        dtype: str = "float64",
    ) -> Function:
        """A function of named arrays and `v=` that gives the Hessian times v."""
        from backproof.engine.curvature import compile_hvp

        model = self._build()
        return compile_hvp(model, target or self.loss, self._one(wrt), engine=engine, dtype=dtype)

    def _one(self, wrt: str | None) -> str:
        """The name that was asked for, or the only one that is learned."""
        if wrt is None and len(self.learned) == 1:
            return self.learned[0]
        if wrt is None:
            raise BackproofError(
                "A Hessian is by one name.", hint=f'wrt="…", one of {", ".join(self.learned)}'
            )
        return wrt

    def export(self, to: str, target: str | None = None) -> str:
        """A stand-alone source file of the network and its gradients.

        to   "numpy", "jax", "torch" or "latex"
        """
        from backproof.engine.export import export

        return export(self._build(), to, target)

    def fit(
        self,
        data: Mapping[str, Any] | str | None = None,
        *,
        epochs: int = 50,
        batch: int = 32,
        rate: float | None = None,
        optimizer: str = "adam",
        seed: int = 0,
        engine: str = "auto",
        values: Mapping[str, Any] | None = None,
        maps: Mapping[str, str] | None = None,
        initial: Mapping[str, str] | None = None,
        test: float = 0.2,
        validation: float = 0.1,
        out: str | os.PathLike[str] | None = None,
        **more: Any,
    ) -> Trained:
        """Trains the sheet; what comes back says how it went, with `parameters` and `results`.

        data     arrays by the names of the givens, samples first; or what `train --data` takes;
                 None where the sheet holds all values
        values   dimensions and constants that the data do not fix
        maps     given -> "data", "target" or a part's name, where its name does not say it
        out      a new run folder for metrics, plots and checkpoints
        more     momentum, schedule, patience, dtype; scale, pairs, unseen, thin, target; overwrite
        """
        from backproof.engine.fitting import fit

        return fit(
            self._build(), data, epochs=epochs, batch=batch, rate=rate, optimizer=optimizer,
            seed=seed, engine=engine, values=values or {}, maps=maps or {}, initial=initial or {},
            test=test, validation=validation, out=out, **more,
        )  # fmt: skip

    # --- showing -------------------------------------------------------------------------------

    def __repr__(self) -> str:
        title = f" {self.title!r}" if self.title else ""
        return (
            f"<Sheet{title}: given {', '.join(self.given) or 'nothing'}; "
            f"learned {', '.join(self.learned) or 'nothing'}; "
            f"{len(self._sheet.equations)} equations, {len(self._sheet.claims)} claims>"
        )

    def _repr_html_(self) -> str:
        from html import escape

        from backproof.render.html import notebook

        return notebook(f"<pre><code>{escape(self.text.strip(), quote=False)}</code></pre>")


def _asked(word: str, parts: Sequence[str]) -> str:
    return f"{word} {', '.join(parts)}" if parts else word
