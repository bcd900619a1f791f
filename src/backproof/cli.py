"""The command line. Knows options, exit codes and streams; every answer is made elsewhere.

Only click is imported before a command runs, so that `backproof --help` is there at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
from click.core import ParameterSource

from backproof.engine.options import train_options
from backproof.papers.commands import COMMANDS

if TYPE_CHECKING:
    from backproof.language.sheet import Sheet
    from backproof.render.lines import Line
    from backproof.render.posed import Posing
    from backproof.working.checking import FileVerdicts
    from backproof.working.report import Report
    from backproof.working.steps import Working

EXIT_INTERNAL = 70
PAPERS = (".sheet", ".md", ".markdown")


class _Guarded(click.Group):
    """Turns every error into a message and an exit code; a traceback is shown by --debug only."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            _fail(ctx, error)


def _fail(ctx: click.Context, error: Exception) -> NoReturn:
    from backproof.errors import BackproofError, InternalContradiction, render_error

    if isinstance(error, InternalContradiction):
        _say(f"{OUR_BUG}\n\n{render_error(error)}")
        ctx.exit(error.exit_code)
    if isinstance(error, BackproofError):
        _say(render_error(error))
        ctx.exit(error.exit_code)
    if isinstance(error, RecursionError | MemoryError):
        what = "deep" if isinstance(error, RecursionError) else "large"
        _say(f"This is too {what} to be worked. Give parts of the sheet names of their own.")
        ctx.exit(2)
    _say(
        f"internal error: {type(error).__name__}: {error}\n"
        "This is a fault in backproof. Please report it, with the sheet; "
        "`backproof --debug …` shows where it happened."
    )
    ctx.exit(EXIT_INTERNAL)


OUR_BUG = (
    "INTERNAL CONTRADICTION: two ways of working the same thing out disagree.\n"
    "This is a fault in backproof, not in your sheet, and nothing that rests on it is shown.\n"
    "Please report it, with the sheet."
)


def _say(text: str) -> None:
    """To the error stream, in what its encoding can write."""
    from backproof.render.lines import writable

    stream = sys.stderr
    click.echo(writable(text, getattr(stream, "encoding", None) or "utf-8"), err=True)


@click.group(cls=_Guarded, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
@click.version_option(package_name="backproof", message="%(prog)s %(version)s")
def main(debug: bool) -> None:
    """Write a network down as on paper; have it worked out, and what you claim checked.

    A FILE is a sheet (.sheet), or a Markdown paper (.md) with sheets in fences marked `sheet`.
    """


FILE = click.Path(path_type=Path)


# --- work ----------------------------------------------------------------------------------------


@main.command()
@click.argument("file", type=FILE, required=False)
@click.option(
    "--json",
    "json_file",
    is_flag=False,
    flag_value="-",
    metavar="[F]",
    help="Write it as JSON to F; without F, print JSON instead of the working.",
)
@click.option("--tex", "tex_file", type=FILE, metavar="F", help="Write it as a LaTeX article to F.")
@click.option("--html", "html_file", type=FILE, metavar="F", help="Write it as a page to F.")
@click.option("--pdf", "pdf_file", type=FILE, metavar="F", help="Write it as PDF to F.")
@click.option(
    "--version",
    "pdf_version",
    default="solutions",
    show_default=True,
    type=click.Choice(["questions", "blanks", "solutions"]),
    help="What of a paper the PDF holds.",
)
@click.option(
    "--conventions", is_flag=True, help="Show the values that other unstated choices would give."
)
@click.pass_context
def work(
    ctx: click.Context,
    file: Path | None,
    json_file: str | None,
    tex_file: Path | None,
    html_file: Path | None,
    pdf_file: Path | None,
    pdf_version: Literal["questions", "blanks", "solutions"],
    conventions: bool,
) -> None:
    """Answer everything that FILE asks, and judge everything that it claims.

    Exits with 0 when all is answered and all claims hold, 1 when not, 2 when FILE cannot be read.
    """
    from backproof.working.report import work_file

    if file is None and json_file is not None and json_file.endswith(PAPERS):
        file, json_file = Path(json_file), "-"  # `work --json FILE`
    if file is None:
        raise click.UsageError("Missing argument 'FILE'.", ctx)
    report = work_file(file, conventions=conventions)
    _write(report, file, json_file, tex_file, html_file, pdf_file, pdf_version)
    if json_file == "-":
        from backproof.render.json import dumps, report_data

        _print(dumps(report_data(report)) + "\n")
    else:
        from backproof.render.document import report_lines

        _show(report_lines, _without_broken(report))
    ctx.exit(_tell(report))


def _posed(report: Report, file: Path) -> Posing:
    """How a paper poses its asks; {} for a sheet, and for a paper that asks nothing."""
    from backproof.errors import BackproofError
    from backproof.papers.paper import read_paper
    from backproof.papers.posed import posed_of

    try:
        return posed_of(read_paper(file)) if report.paper else {}
    except BackproofError:
        return {}


def _write(
    report: Report,
    file: Path,
    json_file: str | None,
    tex_file: Path | None,
    html_file: Path | None,
    pdf_file: Path | None,
    pdf_version: Literal["questions", "blanks", "solutions"],
) -> None:
    """Writes what was asked for; every text is made before the first file is touched."""
    from backproof.render.save import save

    texts: list[tuple[Path, str | bytes]] = []
    if json_file not in (None, "-"):
        from backproof.render.json import dumps, report_data

        texts.append((Path(str(json_file)), dumps(report_data(report)) + "\n"))
    if tex_file is not None:
        from backproof.render.latex import article

        texts.append((tex_file, article(report)))
    if html_file is not None:
        from backproof.render.html import page

        texts.append((html_file, page(report)))
    if pdf_file is not None:
        from backproof.render.typst import pdf

        texts.append((pdf_file, pdf(report, pdf_version, _posed(report, file))))
    for path, text in texts:
        save(path, text)


def _without_broken(report: Report) -> Report:
    """A sheet file that cannot be worked is told on the error stream only."""
    from dataclasses import replace

    if report.paper or not any(sheet.error for sheet in report.sheets):
        return report
    return replace(report, blocks=())


def _tell(report: Report) -> int:
    """Says on the error stream what is not in the working, or must not be missed in it."""
    from backproof.errors import InternalContradiction, render_error

    for error in report.failures:
        if isinstance(error, InternalContradiction):
            _say(f"{OUR_BUG}\n\n{render_error(error)}")
        elif not report.paper and report.exit_code == error.exit_code and not _both_seen(report):
            _say(render_error(error))
    return report.exit_code


def _both_seen(report: Report) -> bool:
    """Whether the errors have been read already, in the working on the same terminal."""
    shown = not any(sheet.error for sheet in report.sheets)
    return shown and sys.stdout.isatty() and sys.stderr.isatty()


# --- check ---------------------------------------------------------------------------------------


@main.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="List every claim, also of many files.")
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...], as_json: bool, verbose: bool) -> None:
    """Judge all claims of FILES.

    Exits with 0 when all hold, 1 when one is refuted or undecided, 2 when a sheet cannot be read.
    """
    from backproof.working.checking import check_files

    results = check_files(files, _progress(len(files)))
    if as_json:
        from backproof.render.json import dumps, verdict_data

        data = [
            {
                "file": result.file,
                "error": result.problems[0].place if result.problems else None,
                "claims": [verdict_data(verdict) for verdict in result.verdicts],
            }
            for result in results
        ]
        _print(dumps({"files": data}) + "\n")
    else:
        from backproof.render.table import check_lines

        _show(check_lines, results, verbose)
    _tell_problems(results)
    ctx.exit(max(result.exit_code for result in results))


def _progress(total: int) -> Callable[[int], None] | None:
    """Counts on a terminal, where there is enough to wait for."""
    if total < 5 or not sys.stderr.isatty():
        return None

    def done(finished: int) -> None:
        text = f"\rchecked {finished} of {total} files" if finished < total else "\r\033[K"
        sys.stderr.write(text)
        sys.stderr.flush()

    return done


def _tell_problems(results: Sequence[FileVerdicts]) -> None:
    for result in results:
        for problem in result.problems:
            _say(f"{OUR_BUG}\n\n{problem.shown}" if problem.is_ours else problem.shown)


# --- one ask -------------------------------------------------------------------------------------


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that answers one ask takes."""
    command = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")(command)
    command = click.option("--tex", "as_tex", is_flag=True, help="Print it as LaTeX.")(command)
    command = click.option("--html", "as_html", is_flag=True, help="Print it as a page.")(command)
    command = click.option("--svg", "as_svg", is_flag=True, help="Print its drawing.")(command)
    return click.option(
        "--sheet", "sheet_name", metavar="NAME", help="Which sheet of a paper, by its name."
    )(command)


def _answer(
    file: Path, question: Callable[[Any], str | Working], sheet_name: str | None, **how: Any
) -> None:
    from backproof.calculus.model import build_model
    from backproof.working.answer import answer_question

    model = build_model(_sheet(file, sheet_name))
    asked = question(model)
    working = answer_question(model, asked) if isinstance(asked, str) else asked
    _show_answer(model.sheet.title, working, sheet_name, **how)


def _show_answer(
    title: str,
    working: Working,
    sheet_name: str | None,
    as_json: bool,
    as_tex: bool,
    as_html: bool,
    as_svg: bool,
) -> None:
    if as_json:
        from backproof.render.json import dumps, working_data

        _print(dumps(working_data(working)) + "\n")
    elif as_tex:
        from backproof.render.latex import standalone, working_fragment

        _print(standalone(title, working_fragment(working)))
    elif as_html or as_svg:
        from backproof.render.answers import Answer

        _print(Answer(working).html() if as_html else Answer(working).svg() + "\n")
    else:
        from backproof.render.terminal import working_lines

        _show(working_lines, working)


def _sheet(file: Path, name: str | None) -> Sheet:
    from backproof.errors import FileProblem
    from backproof.language.files import read_sheets

    blocks = read_sheets(file).sheets
    found = [block for block in blocks if name is None or block.name == name]
    if len(found) != 1:
        names = ", ".join(block.name for block in blocks if block.name)
        have = f"has {len(blocks)} sheets" if name is None else f"has no one sheet '{name}'"
        raise FileProblem(
            f"'{file}' {have}; one is needed.", hint=f"--sheet NAME, one of: {names or '(none)'}"
        )
    (block,) = found
    if block.sheet is None:
        assert block.error is not None
        raise block.error
    return block.sheet


@main.command()
@click.argument("file", type=FILE)
@click.argument("expressions", nargs=-1)
@_options
def shapes(file: Path, expressions: tuple[str, ...], **how: Any) -> None:
    """The shapes of every name in FILE, or of EXPRESSIONS."""
    _answer(file, lambda _: " ".join(["shapes", ", ".join(expressions)]).strip(), **how)


@main.command()
@click.argument("file", type=FILE)
@_options
def forward(file: Path, **how: Any) -> None:
    """The equations of FILE, with every value where values are given."""
    _answer(file, lambda _: "forward", **how)


@main.command()
@click.argument("file", type=FILE)
@click.argument("expression")
@_options
def value(file: Path, expression: str, **how: Any) -> None:
    """The value of EXPRESSION, worked out."""
    _answer(file, lambda _: f"value {expression}", **how)


@main.command()
@click.argument("file", type=FILE)
@click.argument("target", required=False)
@_options
def tree(file: Path, target: str | None, **how: Any) -> None:
    """The computational graph from TARGET (the loss) down to the leaves."""
    from backproof.working.answer import require_loss

    _answer(file, lambda model: f"tree {target or require_loss(model)}", **how)


@main.command()
@click.argument("file", type=FILE)
@click.argument("target", required=False)
@click.argument("names", nargs=-1)
@click.option("--of", "of", metavar="L", help="What to differentiate; the loss, if left out.")
@click.option("--wrt", "wrt", multiple=True, metavar="W", help="By which name; repeat for more.")
@_options
def gradient(
    file: Path,
    target: str | None,
    names: tuple[str, ...],
    of: str | None,
    wrt: tuple[str, ...],
    **how: Any,
) -> None:
    """The gradient of TARGET (the loss) by NAMES (everything learned): `gradient FILE L W1`."""
    from backproof.working.answer import gradient_question

    _answer(file, lambda model: gradient_question(model, of or target, (*names, *wrt)), **how)


@main.command()
@click.argument("file", type=FILE)
@click.argument("names", nargs=-1)
@click.option("--rate", metavar="RATE", help="The learning rate: a number or a name.")
@_options
def step(file: Path, names: tuple[str, ...], rate: str | None, **how: Any) -> None:
    """One step of gradient descent for NAMES (everything learned)."""
    from backproof.working.answer import step_question

    _answer(file, lambda model: step_question(model, names, rate), **how)


@main.command()
@click.argument("file", type=FILE)
@click.argument("size")
@click.option("--rows", is_flag=True, help="Samples as rows instead of columns.")
@click.option("--samples", type=int, help="Samples in the data, for an epoch's arithmetic.")
@click.option("--shared", multiple=True, help="A given that is the same for every sample.")
@_options
def batch(
    file: Path, size: str, rows: bool, samples: int | None, shared: tuple[str, ...], **how: Any
) -> None:
    """The same network for SIZE samples at once."""
    words = [f"batch {size}", *(["rows"] if rows else [])]
    words += [f"samples {samples}"] if samples is not None else []
    words += [f"shared {', '.join(shared)}"] if shared else []
    _answer(file, lambda _: " ".join(words), **how)


@main.command()
@click.argument("file", type=FILE)
@click.argument("name")
@click.option("--of", "loss", metavar="L", help="The number that a step makes smaller.")
@click.option(
    "--data", type=FILE, metavar="F", help="Samples (CSV, NPY, NPZ): the numbers as quartiles."
)
@_options
def slow(file: Path, name: str, loss: str | None, data: Path | None, **how: Any) -> None:
    """When the update of parameter NAME is small."""
    if loss is None and data is None:
        _answer(file, lambda _: f"slow {name}", **how)
        return
    from backproof.working.answer import slow_answer

    _answer(file, lambda model: slow_answer(model, name, loss, data), **how)


@main.command()
@click.argument("file", type=FILE, required=False)
@click.argument("losses", nargs=-1)
@click.option("--data", metavar="NAME", help="Weights on real data: breast-cancer.")
@click.option("--thin", type=float, default=0.15, help="The share of the rare label that is kept.")
@click.option("--missed", type=float, default=10.0, help="The cost of a missed 1.")
@click.option("--alarm", type=float, default=1.0, help="The cost of a false alarm.")
@click.option("--seed", type=int, default=0, help="What is drawn and how it is split.")
@_options
def weights(
    file: Path | None,
    losses: tuple[str, ...],
    data: str | None,
    thin: float,
    missed: float,
    alarm: float,
    seed: int,
    **how: Any,
) -> None:
    """What the weights of LOSSES in FILE mean; with --data, which weights cost least."""
    if data is not None:
        from backproof.interop.unbalanced import unbalanced_working

        _show_answer("", unbalanced_working(data, thin, missed, alarm, seed), **how)
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE', or --data.")
    _answer(file, lambda _: " ".join(["weights", ", ".join(losses)]).strip(), **how)


# --- source code ---------------------------------------------------------------------------------


@main.command()
@click.argument("file", type=FILE)
@click.option(
    "--to",
    "to",
    required=True,
    type=click.Choice(["numpy", "jax", "torch", "latex"]),
    help="What to write it for.",
)
@click.option("--of", "of", metavar="L", help="What to differentiate; the loss, if left out.")
@click.option("-o", "--out", "out_file", type=FILE, metavar="F", help="Write it to F.")
@click.option("--sheet", "sheet_name", metavar="NAME", help="Which sheet of a paper, by its name.")
def export(
    file: Path, to: str, of: str | None, out_file: Path | None, sheet_name: str | None
) -> None:
    """Write FILE as source code: forward and backward, with the derivation in comments."""
    from backproof.calculus.model import build_model
    from backproof.engine.export import export as exported
    from backproof.render.save import save

    text = exported(build_model(_sheet(file, sheet_name)), to, of)
    if out_file is None:
        _print(text)
    else:
        save(out_file, text)


# --- papers --------------------------------------------------------------------------------------

for _command in COMMANDS:
    main.add_command(_command)


# --- training -------------------------------------------------------------------------------------


@main.command()
@click.argument("file", type=FILE, required=False)
@train_options
@click.pass_context
def train(ctx: click.Context, /, **how: Any) -> None:
    """Train the sheet in FILE on data; everything is written to a run folder."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more threads slow small products down
    from backproof.engine.command import Request, train_command

    given = {n for n in how if ctx.get_parameter_source(n) is not ParameterSource.DEFAULT}
    lines, trained = train_command(Request(**how, arguments=sys.argv[2:]), frozenset(given))
    if how["compare"]:
        from backproof.interop.compare import compared_lines

        lines += compared_lines(trained)
    if lines:
        _print("\n".join(lines) + "\n")


# --- the live page --------------------------------------------------------------------------------


@main.command()
@click.argument("file", type=FILE, required=False)
@click.option("--port", type=click.IntRange(0, 65535), help="The port; the usual one is 8642.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many sheets at the same time.")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), help="How long one may be worked on.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
def serve(
    file: Path | None,
    port: int | None,
    host: str,
    workers: int | None,
    seconds: float | None,
    no_browser: bool,
) -> None:
    """Write a sheet in a browser, and see it worked as you type. FILE is what it opens with."""
    from backproof.web.server import serve as start

    start(
        file, host=host, port=port, workers=workers, seconds=seconds, browser=not no_browser,
        say=_say,
    )  # fmt: skip


# --- output --------------------------------------------------------------------------------------


def _show(lines: Callable[..., list[Line]], *what: Any) -> None:
    """Shows lines that are made for the width of the terminal."""
    from backproof.render.terminal import show, width_of

    show(lines(*what, width=width_of(sys.stdout)), sys.stdout)


def _print(text: str) -> None:
    """JSON and LaTeX are UTF-8 whatever the terminal's encoding is."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    binary.write(text.encode("utf-8"))
    binary.flush()
