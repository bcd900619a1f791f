"""The commands of papers: mark, variants, lint, quiz. Options and streams; no answers made.

Only click is imported before a command runs.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from backproof.papers.grading import Progress
    from backproof.papers.paper import Paper

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("paper", type=_FILE)
@click.argument("scripts", type=_FILE, nargs=-1, required=True)
@click.option("--out", type=_FILE, required=True, help="The directory for marks and feedback.")
@click.option(
    "--override",
    "overrides",
    nargs=4,
    multiple=True,
    metavar="STUDENT ITEM MARKS REASON",
    help="Decide a line by hand; kept when marked again.",
)
@click.option("--digits", default="1/4", show_default=True, help="What too few digits cost.")
@click.option("--early", default="1/4", show_default=True, help="What rounding early costs.")
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes.")
def mark(
    paper: Path,
    scripts: tuple[Path, ...],
    out: Path,
    overrides: tuple[tuple[str, str, str, str], ...],
    digits: str,
    early: str,
    workers: int | None,
) -> None:
    """Mark SCRIPTS (text files, directories of them, or CSV files of a class) on PAPER.

    An error is carried forward: what follows from a student's own value counts. Stopped half-way
    and run again, it goes on where it was.
    """
    from backproof.papers.grading import mark_class
    from backproof.papers.marking import Scheme

    scheme = Scheme(_share(digits), _share(early))
    _read(paper)
    done = mark_class(
        paper, scripts, out, scheme=scheme, overrides=overrides, workers=workers,
        progress=_progress("marked", " scripts"),
    )  # fmt: skip
    click.echo(f"{done.scripts} scripts, {done.marked_now} marked now; results in {done.out}.")
    if done.to_review:
        click.echo(f"{done.to_review} lines wait for a person: {done.out / 'review.csv'}")


@click.command()
@click.argument("paper", type=_FILE)
@click.option("--count", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed, the same.")
@click.option("--out", type=_FILE, required=True, help="The directory for variants and keys.")
def variants(paper: Path, count: int, seed: int, out: Path) -> None:
    """Write COUNT variants of PAPER, each with its key; what `vary` names is drawn anew.

    Every variant is tested; draws that are not fit are counted with their reasons.
    """
    from backproof.papers.difficulty import RULE
    from backproof.papers.variants import write_variants

    made, rejected = write_variants(_read(paper), count, seed, out, _progress("made", ""))
    minutes = sorted(v.work.minutes for v in made)
    click.echo(f"{len(made)} variants with their keys in {out}.")
    click.echo(f"About {minutes[0]:.0f} to {minutes[-1]:.0f} minutes of arithmetic each. {RULE}.")
    for line in rejected.lines():
        click.echo(f"rejected {line}")


@click.command()
@click.argument("paper", type=_FILE)
@click.option("--to", "to", required=True, type=click.Choice(["moodle", "qti", "canvas"]))
@click.option("--qti", "version", default="2.1", show_default=True,
              type=click.Choice(["2.1", "3.0"]), help="The version of QTI.")  # fmt: skip
@click.option("--out", type=_FILE, required=True, help="The file: .xml for Moodle, else .zip.")
def quiz(paper: Path, to: str, version: str, out: Path) -> None:
    """Write PAPER as a quiz: Moodle XML, a QTI package, or a package for Canvas.

    What is written is read back first, and every question scored with right and wrong answers.
    """
    from backproof.papers.export import export
    from backproof.render.save import save

    read = _read(paper)
    made = export(read, to, version)
    save(out, made.content)
    click.echo(f"{made.questions} questions in {out}; {made.tried} answers tried on reading back.")
    if made.scale > 1:
        click.echo(
            f"Gaps count in whole marks, so all marks are {made.scale} times the paper's; set the "
            f"quiz's maximum grade to {float(read.marks):g}."
        )


@click.command()
@click.argument("paper", type=_FILE)
@click.option("--out", type=_FILE, help="The file to write; without it, print.")
def form(paper: Path, out: Path | None) -> None:
    """Write the form that students fill in: a line for each answer of PAPER, with its marks."""
    from backproof.papers.form import form_text
    from backproof.render.save import save

    text = form_text(_read(paper))
    if out is None:
        click.echo(text, nl=False)
    else:
        save(out, text)


@click.command()
@click.argument("paper", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def lint(ctx: click.Context, paper: Path, as_json: bool) -> None:
    """Look PAPER over: false claims, answers given away, marks that do not add up, conventions.

    Exits with 0 when nothing is wrong, 1 when there is an error, 2 when PAPER cannot be read.
    """
    from backproof.papers.lint import ERROR, lint
    from backproof.papers.paper import read_paper

    found = lint(read_paper(paper))
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(f) for f in found], ensure_ascii=False, indent=1))
    else:
        for one in found:
            click.echo(f"{paper}:{one.line}: {one.severity}: {one.message}")
        counts = [sum(f.severity == s for f in found) for s in ("error", "warning", "note")]
        click.echo(f"{counts[0]} errors, {counts[1]} warnings, {counts[2]} notes.")
    ctx.exit(1 if any(f.severity == ERROR for f in found) else 0)


def _read(file: Path) -> Paper:
    """The paper; what is left out of it is told on the error stream."""
    from backproof.papers.paper import read_paper

    paper = read_paper(file)
    for failure in paper.failures:
        line = f"{file}:{failure.place.line}" if failure.place else str(file)
        click.echo(f"{line}: this sheet is left out: {failure.message}", err=True)
    return paper


def _share(text: str) -> Fraction:
    from fractions import Fraction

    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if not 0 <= value <= 1:
        raise click.BadParameter(f"'{text}' is no share; write a number from 0 to 1, or 1/4.")
    return value


def _progress(done_word: str, what: str) -> Progress | None:
    """Counts on a terminal."""
    if not sys.stderr.isatty():
        return None
    started = time.monotonic()

    def done(finished: int, total: int) -> None:
        spent = time.monotonic() - started
        text = f"\r{done_word} {finished} of {total}{what}, {spent:.0f} s"
        sys.stderr.write(text if finished < total else "\r\033[K")
        sys.stderr.flush()

    return done


if TYPE_CHECKING:
    from fractions import Fraction

COMMANDS: tuple[click.Command, ...] = (lint, form, variants, mark, quiz)
