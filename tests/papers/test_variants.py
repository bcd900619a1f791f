"""Variants: reproducible, different, fit to be handed out, and each with a key that marks right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from backproof.cli import main
from backproof.errors import BackproofError, Source
from backproof.language.markdown import parse_markdown
from backproof.papers.lint import ERROR, lint
from backproof.papers.marking import Marker
from backproof.papers.numbers import show
from backproof.papers.paper import Paper, paper_of, read_paper
from backproof.papers.scripts import Reader
from backproof.papers.stated import written
from backproof.papers.variants import make_variants, varied_text

ROOT = Path(__file__).resolve().parent.parent.parent
PAPER = ROOT / "examples" / "paper.md"


def small(lines: str, asks: str = "ask forward") -> Paper:
    text = f"# Small\n\n```sheet a\n{lines}\n{asks}\n```\n"
    return paper_of(parse_markdown(Source("small.md", text)))


def test_two_hundred_variants_are_made_and_all_differ(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["variants", str(PAPER), "--count", "200", "--seed", "7", "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    texts = {p.read_text(encoding="utf-8") for p in tmp_path.glob("variant-*.md")}
    assert len(texts) == 200 and len(list(tmp_path.glob("key-*.md"))) == 200
    about = json.loads((tmp_path / "variants.json").read_text(encoding="utf-8"))
    assert about["rejected"] and all("×" in line for line in about["rejected"])
    minutes = [v["minutes"] for v in about["variants"]]
    assert max(minutes) < 1.7 * min(minutes)
    assert not any("vary" in text or "claim" in text for text in texts)


def test_the_same_seed_gives_the_same_variants() -> None:
    paper = read_paper(PAPER)
    one, _ = make_variants(paper, 4, 11)
    two, _ = make_variants(read_paper(PAPER), 4, 11)
    other, _ = make_variants(paper, 4, 12)
    assert [v.text for v in one] == [v.text for v in two]
    assert [v.text for v in one] != [v.text for v in other]


def test_the_key_of_every_variant_is_marked_right() -> None:
    made, _ = make_variants(read_paper(PAPER), 3, 5)
    for variant in made:
        again = paper_of(parse_markdown(Source("variant.md", variant.text)))
        marker = Marker(again)
        lines = []
        for sheet in again.sheets:
            lines.append(f"[{sheet.name}]")
            for key, truth in marker.sheets[sheet.name].truths.items():
                places = sheet.values.rounding.decimals
                lines.append(f"{key} = {show(truth.centre, places)}")
                assert np.isfinite(truth.ends[0]).all()
        script = Reader(again).read("\n".join(lines), "key")
        found = {line.item: line for line in marker.mark(script)}
        assert {found[item].verdict for item in script.answers} == {"right"}


NET = "given x = [1, 2]\nlearn w = [0.3, -0.2]\nz = w.T @ x\na = {f}(z)\n"


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (NET.replace("{f}", "relu") + "vary w in {-3..-1}", "a dead relu"),
        (NET.replace("{f}", "sigmoid") + "vary w in {5..9}", "a saturated sigmoid"),
        (NET.replace("{f}", "tanh") + "vary w in {0, 0}", "is zero"),
        ("given x = 3\nround 1 each\ny = x/4\nvary x in {1, 3}", "a rounding tie"),
        ("given x = 3\ny = 1/(x - 2)\nvary x in {2}", "undefined"),
        ("given x = 3\nlearn w = 2\ny = x*w\nL = exp(12*y)/9\nvary x in {4..5}", "ill condition"),
    ],
)
def test_what_is_not_fit_is_rejected_with_its_reason(lines: str, why: str) -> None:
    with pytest.raises(BackproofError) as caught:
        make_variants(small(lines), 1, 0)
    assert why in str(caught.value)


def test_dimensions_and_names_without_a_value_can_be_varied() -> None:
    paper = small(
        "let h = 3\ngiven x = [1, 2]\nlearn W in R[h, 2]\nz = W @ x\n"
        "vary h in {3, 4}\nvary W in {0.1..0.9 step 0.1}"
    )
    made, _ = make_variants(paper, 6, 1)
    shapes = {v.paper.sheets[0].model.shape("W")[0].as_int() for v in made}
    assert shapes == {3, 4}


def test_labels_stay_labels() -> None:
    paper = small(
        "given Y = [[0, 1], [1, 0]]\nlearn P = [[0.2, 0.8], [0.6, 0.4]]\n"
        "L = cross_entropy(P, Y)\nvary Y in {0, 1}"
    )
    made, _ = make_variants(paper, 2, 3)
    for variant in made:
        values = variant.paper.sheets[0].values.named("Y")
        assert (values.sum(axis=1) == 1).all()


def test_too_few_variants_are_said_to_be_too_few() -> None:
    with pytest.raises(BackproofError) as caught:
        make_variants(small("given x = 3\ny = 2*x + 1\nvary x in {3, 4}"), 5, 0)
    assert "Only" in str(caught.value)


def test_values_are_put_where_they_stand() -> None:
    from fractions import Fraction

    paper = small("given x = [1, 2] # data\ny = 2*x\nvary x integer 1..5\nclaim y == [2, 4]")
    text = varied_text(paper.sheets[0].sheet, {"x": [Fraction(5), Fraction(1, 2)]})
    assert text.splitlines() == ["given x = [5, 0.5] # data", "y = 2*x", "ask forward"]
    assert written(Fraction(1, 3)) == "1/3" and written([Fraction(-1, 4)]) == "[-0.25]"


EXAM = ROOT / "examples" / "exam.md"


def test_the_exam_has_variants_that_share_what_its_questions_share() -> None:
    made, rejected = make_variants(read_paper(EXAM), 6, 7)
    assert len({v.text for v in made}) == 6 and rejected.counts
    for variant in made:
        again = paper_of(parse_markdown(Source("variant.md", variant.text)))
        sheets = {s.name: s for s in again.sheets}
        for name in ("X", "Y", "W"):
            svm, softmax, step = (
                sheets[s].values.named(name) for s in ("q02-svm", "q03-softmax", "q04-step")
            )
            assert (svm == softmax).all() and (svm == step).all()
        # the misprints are still there to be refuted, and nothing else is
        false = [f for f in lint(again) if f.severity == ERROR]
        assert len(false) == 3
        assert [f for f in lint(again) if "vary" in f.message] == []
        hidden = sheets["q10b-saturated"].values.named("a1").astype(float).ravel()
        assert sum(a * (1 - a) < 0.0025 for a in hidden) == 2


def test_the_text_of_a_variant_says_its_own_numbers_and_no_answer() -> None:
    text = (
        "# P\n\n## 1. A\n\nThe input is `x = [1, 2]`, 3 of them.\n\n```sheet a\n"
        "given x = [1, 2]\nvary x integer 4..9\ny = 2*x + 1\nask value y\n```\n\n"
        "So y is 3 and 5.\n\n## 2. B\n\nThe same `x = [1, 2]`, halved.\n\n```sheet b\n"
        "given x = [1, 2]\nvary x integer 4..9\nz = x/2\nask value z\n```\n"
    )
    ((variant,), _) = make_variants(paper_of(parse_markdown(Source("p.md", text))), 1, 1)
    drawn = variant.paper.sheets[0].values.named("x").astype(int).ravel().tolist()
    assert f"The input is `x = {drawn}`, 3 of them." in variant.text
    assert f"The same `x = {drawn}`, halved." in variant.text
    assert variant.text.count(f"given x = {drawn}") == 2
    assert "So y" not in variant.text and "## 2. B" in variant.text


def test_numbers_in_the_text_that_variants_change_are_noted() -> None:
    head = "# P\n\nThe weight is {}, the rate 0.7.\n\n```sheet a\ngiven w = 0.3\n"
    rest = "vary w in {0.1, 0.2}\ny = 2*w\nask value y\n```\n"
    for said, found in (("0.3", 1), ("`w = 0.3`", 0), ("small", 0)):
        made = paper_of(parse_markdown(Source("p.md", head.format(said) + rest)))
        assert len([f for f in lint(made) if "vary" in f.message]) == found
