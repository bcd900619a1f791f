"""Papers behind the live page: the form without answers, the marks, the author's view, files."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from backproof.errors import Source
from backproof.language.markdown import parse_markdown
from backproof.web.desk import Desk
from backproof.web.gallery import examples
from backproof.web.limits import Limits
from backproof.web.papers_desk import FILES, is_paper, sheet_of
from backproof.web.server import named_files, opened

from .conftest import PAGE, Event, Work
from .test_pool import hostile

# z = 0.3·1 − 0.4·2 + 0.1 = −0.4, a = σ(−0.4) = 0.401, L = −log 0.401 = 0.913 or, from the rounded
# value, 0.914.
NEURON = """# A small paper

Work everything out. There are 8 marks.

## 1. A neuron (8 marks)

One sample.

```sheet neuron
# A sigmoid neuron
given x = [1, 2]
given y = 1
learn w = [0.3, -0.4]
learn b = 0.1
round 3 each
vary w in {-0.8..0.8 step 0.1}

z = w.T @ x + b
a = sigmoid(z)
L = -(y*log(a) + (1 - y)*log(1 - a))

ask forward marks 3
ask gradient L wrt z as choice marks 2
ask gradient L wrt w as match marks 3
claim z == -0.4
```

The secret of it is that z is minus 0.4.
"""
BLANKS = """# Blanks

```sheet twin
given x in R[4]
learn W in R[3, 4], b in R[3]
z = W @ x + b
a = relu(z)
L = sumsq(a)
ask forward blank relu(z), L marks 2
```

```sheet plain
given x in R[4]
learn W in R[3, 4]
z = W @ x
ask forward
ask tree z as essay marks 1
```
"""
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
Ask = Callable[..., list[Event]]


@pytest.fixture
def ask(client: TestClient) -> Ask:
    """The events of one job about a paper."""

    def events(do: str, text: str = NEURON, **more: Any) -> list[Event]:
        reply = client.post("/api/paper", json={"do": do, "text": text, **more})
        assert reply.status_code == 200, reply.text
        found = [json.loads(line) for line in reply.text.splitlines()]
        assert found[-1]["kind"] == "done" and "fault" not in found[-1], found[-1]
        return found

    return events


def html_of(events: list[Event]) -> str:
    return "\n".join(event.get("html", "") for event in events)


def marks(events: list[Event]) -> dict[str, str]:
    return {x["item"]: x["html"] for e in events if e["kind"] == "marks" for x in e["lines"]}


# --- the form ------------------------------------------------------------------------------------


def test_the_form_has_a_place_for_every_line(ask: Ask) -> None:
    events = ask("paper")
    assert events[0]["title"] == "A small paper"
    assert (events[0]["marks"], events[0]["lines"], events[0]["questions"]) == ("8 marks", 5, 1)
    html = html_of(events)
    assert html.count("data-item=") == 5 and html.count("<textarea") == 3
    assert html.count('type="radio"') >= 3 and html.count("<select") == 3
    assert "One sample." in html and "rounded to 3 decimals at every line" in html
    for label in html.split("<label")[1:]:  # every field has a label that says something
        assert label.partition("</label>")[0].partition(">")[2].strip()


def test_a_size_that_is_a_sum_stands_in_brackets(ask: Ask) -> None:
    text = (
        "# Sizes\n\n```sheet one\nlet D = 2\nlet K = 3\ngiven x in R[D + 1]\n"
        "learn W in R[D + 1, K]\nz = W.T @ x\nask shapes z\n```\n"
    )
    html = html_of(ask("paper", text))
    assert r"W \in \mathbb{R}^{\left(D + 1\right) \times K}" in html
    assert r"x \in \mathbb{R}^{D + 1}" in html


def test_the_form_holds_no_answer(ask: Ask) -> None:
    html = html_of(ask("paper"))
    assert "-0.4 " in html  # w is given
    for told in ("secret", "claim", "0.401", "0.914", "0.599", "vary"):
        assert told not in html
    boxes = html_of(ask("paper", BLANKS))
    assert "box 1" in boxes and "box 2" in boxes
    for told in ("relu", "ReLU", "sumsq", "forward blank", "Answer key"):
        assert told not in boxes, told
    assert "W @ x" not in boxes  # what `ask forward` asks for without values is not shown either


WORDS = """# In words

```sheet w
given x in R[2]
given y in {0, 1}
given alpha, beta in Rpos
learn w in R[2]
z = w.T @ x
a = sigmoid(z)
L = alpha*(-y*log(a)) - beta*((1 - y)*log(1 - a))
ask weights L marks 2
ask tree L marks 2
```
"""


def test_a_label_is_never_the_answer(ask: Ask) -> None:
    """A sample with label 1 weighs α: what is asked for must not stand beside the place for it."""
    labels = html_of(ask("paper", WORDS)).split("<label")[1:]
    told = [label.partition(">")[2].partition("</label>")[0] for label in labels]
    assert "What a sample with label 1 weighs" in told
    assert any(label.startswith("What stands right below L") for label in told)
    assert not any("alpha" in label or "beta" in label for label in told)
    answers = {"w.weight(1)": "alpha", "w.below(L)": "a, y"}
    lines = marks(ask("mark", WORDS, answers=answers))
    assert "1 of" not in lines["w.weight(0)"] and "right" in lines["w.weight(1)"]
    assert "<math" in html_of([e for e in ask("author", WORDS) if e.get("name") == "key"])


@pytest.mark.parametrize("name", ["exam", "paper"])
def test_the_examples_are_taken_marked_and_looked_over(name: str) -> None:
    text = next(e.text for e in examples() if e.name == name)
    desk = Desk(Limits())

    def ask(do: str, text: str, **more: str) -> list[Event]:  # with no clock that runs beside it
        events: list[Event] = []
        desk.work({"do": do, "text": text, **more}, events.append, lambda: None)
        return events

    html = html_of(ask("paper", text))
    read, *_, total = ask("mark", text)
    assert total["kind"] == "total" and read["kind"] == "marks"
    assert html.count("data-item=") == total["lines"] > 30
    assert html.count("<label") >= html.count("<textarea")
    kinds = [e["kind"] for e in ask("author", text)]
    assert kinds.count("section") > 4 and "error" not in kinds
    drawn = ask("variant", text, option="3")
    assert drawn[0]["kind"] == "variant", drawn[0]


def test_what_a_paper_says_is_never_markup(ask: Ask) -> None:
    bad = "<img src=x onerror=alert(1)>"
    text = (
        NEURON.replace("One sample.", bad)
        .replace("A sigmoid neuron", bad)
        .replace("sheet neuron", f"sheet {bad}")
        .replace("learn b = 0.1", f"learn b = 0.1  # {bad}")
    )
    for do in ("paper", "author", "solution"):
        assert "<img" not in html_of(ask(do, text))
        assert " style=" not in html_of(ask(do, text))
    key = next(iter(marks(ask("mark", text))))
    for do in ("mark", "read"):
        assert "<img" not in json.dumps(ask(do, text, answers={key: bad}))


def test_how_an_answer_is_read(ask: Ask) -> None:
    def read(answer: str) -> str:
        (event, _) = ask("read", answers={"neuron.z": answer})
        return str(event["html"])

    assert "1 by 2" not in read("-0.4") and read("-0.4") == ""
    assert "2 × 2" in read("[[1, 2], [3, 4.50]]") and "4.50" in read("[[1, 2], [3, 4.50]]")
    assert "<math" in read("w.T @ x + b") and "no <code>q</code>" in read("w + q")
    assert "cannot be read" in read("hello!!")
    for answer in ("-0.4", "-0.9"):  # nothing tells right from wrong
        assert read(answer) == ""


# --- marks ---------------------------------------------------------------------------------------


def test_an_early_slip_is_paid_for_once(ask: Ask) -> None:
    """z with the wrong sign of b: −0.6; then σ(−0.6) = 0.354 and −log 0.354 = 1.038 follow."""
    answers = {"neuron.z": "-0.6", "neuron.a": "0.354", "neuron.L": "1.038"}
    events = ask("mark", answers=answers)
    lines = marks(events)
    assert "wrong" in lines["neuron.z"] and "0 of 1" in lines["neuron.z"]
    for name in ("neuron.a", "neuron.L"):
        assert "carried on" in lines[name] and "1 of 1" in lines[name]
    assert "from your own z" in lines["neuron.a"]
    total = next(e for e in events if e["kind"] == "total")
    assert (total["earned"], total["of"], total["carried"]) == ("2", "8", 2)
    assert (total["written"], total["lines"]) == (3, 5)


def test_right_answers_earn_everything_and_empty_ones_nothing(ask: Ask) -> None:
    key = json.dumps([e for e in ask("author") if e.get("name") == "key"])
    letters = [p.partition("<")[0] for p in key.split('class=\\"letters\\">')[1:]]
    assert [len(x) for x in letters] == [1, 3]
    answers = {
        "neuron.z": "-0.400", "neuron.a": "0.401", "neuron.L": "0.914",
        "neuron.choice(grad(L, z))": letters[0], "neuron.match(grad(L, w))": letters[1],
    }  # fmt: skip
    total = next(e for e in ask("mark", answers=answers) if e["kind"] == "total")
    assert (total["earned"], total["waiting"], total["carried"]) == ("8", "", 0)
    nothing = next(e for e in ask("mark") if e["kind"] == "total")
    assert (nothing["earned"], nothing["written"]) == ("0", 0)


def test_what_is_not_decided_waits_for_a_person(ask: Ask) -> None:
    events = ask("mark", BLANKS, answers={"plain.text(2)": "z is at the top.\nx is below."})
    total = next(e for e in events if e["kind"] == "total")
    assert total["waiting"] == "1" and "a person decides" in marks(events)["plain.text(2)"]


HOSTILE = [
    "__import__('os').system('true')", "9" * 5000, "[" * 3000, "1e999", "nan", "inf", "-", "\x00",
    "[[1, 2], [3]]", "9**9**9**9", "W.T @ W @ W.T @ W" * 200, "exp(exp(exp(exp(9))))", "😀",
    "sum(x[i] for i in 1..99999999)", "inv(w @ w.T)", "ones(99999, 99999)", "<b>", "'; drop table",
    "\u202e0.4", "z", "a = b = c", "=", "# -0.4", "grad(L, z)", "hess(L, w)", "kron(x, x, x, x, x)",
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda text: ascii(text)[:20])
def test_a_hostile_answer_is_marked_like_any_other(ask: Ask, answer: str) -> None:
    names = ("neuron.z", "neuron.a", "neuron.choice(grad(L, z))", "neuron.match(grad(L, w))")
    answers = {**dict.fromkeys(names, answer), "neuron.L": "0.914"}
    lines = marks(ask("mark", answers=answers))
    assert "right" in lines["neuron.L"]  # what cannot be read blocks nothing
    assert "1 of 1" not in lines["neuron.z"] and "wrong" not in lines["neuron.L"]
    ask("read", answers=answers)


def test_answers_beyond_the_limits_are_turned_down(client: TestClient, ask: Ask) -> None:
    events = ask("mark", answers={f"neuron.{k}": "x" * 9000 for k in range(8)})
    assert "characters of answers" in events[0]["message"]
    for answers in ([], "x", {"neuron.z": 3}, dict.fromkeys(map(str, range(3000)), "1")):
        body = {"do": "mark", "text": NEURON, "answers": answers}
        assert client.post("/api/paper", json=body).status_code == 400
    assert client.post("/api/paper", json={"do": "work", "text": NEURON}).status_code == 400
    assert client.post("/api/paper", json={"do": "mark"}, headers={"origin": "http://evil.example"}
                       ).status_code == 403  # fmt: skip


def test_hostile_papers_end_like_hostile_sheets() -> None:
    rng = random.Random(8)
    desk = Desk(Limits())
    doing = ("paper", "mark", "author", "solution", "variant", "work")
    for _ in range(120):
        text = NEURON
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(text))
            text = text[:at] + hostile(rng)[:80] + text[at + rng.randrange(40) :]
        events: list[Event] = []
        job = {"do": rng.choice(doing), "text": text, "option": hostile(rng)[:20], "view": "shapes",
               "at": rng.randrange(900), "answers": {"neuron.z": hostile(rng)[:200]}}  # fmt: skip
        desk.work(job, events.append, lambda: None)
        assert events, job


def test_what_is_no_paper_says_so(ask: Ask) -> None:
    (error, _) = ask("paper", "given x in R\ny = x")
    assert "no sheet" in error["message"] and "```sheet" in error["hint"]
    (error, _) = ask("paper", "# T\n\n```sheet a\ngiven x in R\ny = x\n```\n")
    assert "asks nothing" in error["message"]
    (error, _) = ask("author", "# T\n\n```sheet a\ngiven x in R\ny = x @\nask shapes\n```\n")
    assert error["line"] == 5
    broken = NEURON.replace("z = w.T @ x + b", "z = w @ x + b") + NEURON.replace("neuron", "more")
    assert "cannot be asked" in html_of(ask("paper", broken))
    found = next(e for e in ask("author", broken) if e.get("name") == "findings")
    assert found["counts"]["error"] >= 1 and 'data-line="' in found["html"]


@pytest.mark.parametrize(("name", "earned"), [("ada", "10"), ("bob", "3"), ("eve", "0")])
def test_the_class_of_the_docs_is_marked_as_on_the_command_line(name: str, earned: str) -> None:
    """docs/papers.md says so; Ada is right throughout, Bob slips in z and in a sign."""
    from backproof.papers.marking import Marker
    from backproof.papers.paper import paper_of
    from backproof.papers.scripts import Reader
    from backproof.web.papers_form import number

    page = (DOCS / "papers.md").read_text(encoding="utf-8")
    text = page.partition("````markdown paper.md\n")[2].partition("````")[0]
    script = page.partition(f"```text scripts/{name}.txt\n")[2].partition("```")[0]
    paper = paper_of(parse_markdown(Source("paper.md", text)))
    read = Reader(paper).read(script, name)
    shares = {line.item: line.share for line in Marker(paper).mark(read)}
    events: list[Event] = []
    job = {"do": "mark", "text": text, "answers": dict(read.answers)}
    Desk(Limits()).work(job, events.append, lambda: None)
    (total,) = [e for e in events if e["kind"] == "total"]
    for item, html in marks(events).items():
        share = shares[item]
        word = "?" if share is None else number(share * paper.item(item).marks)
        assert f">{word} of {number(paper.item(item).marks)}<" in html
    assert total["earned"] == earned, (total, marks(events))


# --- the author's view ---------------------------------------------------------------------------


def test_the_author_sees_findings_marks_times_and_the_key(ask: Ask) -> None:
    wrong = NEURON.replace("claim z == -0.4", "claim z == 0.4")
    events = ask("author", wrong)
    sections = {e["name"]: e for e in events if e["kind"] == "section"}
    assert events[0]["varies"] and events[0]["sections"] == 3
    assert sections["findings"]["counts"]["error"] == 1
    line = wrong[: wrong.index("claim z")].count("\n") + 1
    assert f'data-line="{line}"' in sections["findings"]["html"]
    assert "<td>8</td>" in sections["marks"]["html"] and "seconds: addition" in html_of(events)
    key = sections["key"]["html"]
    # Rounding at every line leaves z within half a unit of −0.400, and a wider.
    assert "-0.4005" in key and "-0.3995" in key and "accepted" in key


def test_the_solution_is_worked_and_told(ask: Ask) -> None:
    html = html_of(ask("solution"))
    assert "The secret of it" in html and "<math" in html and "0.401" in html
    assert "claim" not in html


def test_a_variant_is_that_of_its_seed(ask: Ask) -> None:
    first, again = ask("variant", option="7"), ask("variant", option="7")
    assert first[:-1] == again[:-1]
    other = ask("variant", option="8")
    assert first[0]["text"] != other[0]["text"] != NEURON
    assert "vary" not in first[0]["text"] and "accepted" in html_of(first)
    (error, _) = ask("variant", option="seven")
    assert "is no seed" in error["message"]
    (error, _) = ask("variant", BLANKS, option="1")
    assert "varies nothing" in error["message"]


def test_the_variant_is_the_one_that_the_command_line_writes(ask: Ask, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from backproof.cli import main

    paper = tmp_path / "p.md"
    paper.write_text(NEURON, encoding="utf-8")
    out = tmp_path / "out"
    words = ["variants", str(paper), "--count", "1", "--seed", "7", "--out", str(out)]
    assert CliRunner().invoke(main, words).exit_code == 0
    made = (out / "variant-001.md").read_text(encoding="utf-8")
    assert ask("variant", option="7")[0]["text"] == made


@pytest.mark.parametrize("to", FILES)
def test_a_paper_is_written_as_a_file(client: TestClient, to: str) -> None:
    if "pdf" in FILES[to][0]:
        pytest.importorskip("typst", reason="the extra `pdf` is not installed")
    reply = client.post("/api/paper/file", json={"text": NEURON, "to": to})
    assert reply.status_code == 200, reply.text
    assert FILES[to][1] in reply.headers["content-disposition"]
    if FILES[to][1].endswith(".zip"):
        names = zipfile.ZipFile(io.BytesIO(reply.content)).namelist()
        assert "imsmanifest.xml" in names and len(names) > 1
    else:
        begins = {"pdf": b"%PDF-", ".md": b"# Key: A small", "txt": b"# A small", "xml": b"<?xml"}
        assert reply.content.startswith(begins[FILES[to][1][-3:]])


def test_what_cannot_be_written_says_why(client: TestClient) -> None:
    assert client.post("/api/paper/file", json={"text": NEURON, "to": "exe"}).status_code == 400
    reply = client.post("/api/paper/file", json={"text": "y = 1", "to": "key"})
    assert reply.status_code == 422 and "no sheet" in reply.json()["message"]


# --- a paper in the editor -----------------------------------------------------------------------


def test_the_sheet_at_the_cursor_is_worked(work: Work, client: TestClient) -> None:
    second = BLANKS.index("sheet plain") + 20
    for at, name in ((0, "twin"), (BLANKS.index("a = relu"), "twin"), (second, "plain")):
        assert sheet_of(BLANKS, at).name == name
    smiling = BLANKS.replace("# Blanks", "# 😀😀")
    units = len(smiling[: smiling.index("sheet plain")].encode("utf-16-le")) // 2
    assert sheet_of(smiling, units).name == "twin" and sheet_of(smiling, units + 12).name == "plain"
    body = {"text": BLANKS, "view": "shapes", "at": second}
    lines = client.post("/api/work", json=body).text.splitlines()
    read = json.loads(lines[0])
    assert [n["name"] for n in read["names"]] == ["x", "W", "z"]
    assert BLANKS[slice(*read["region"])].startswith("given x in R[4]")
    assert "plain" not in BLANKS[slice(*read["region"])]
    for at in (-1, 1.5, "3", 2**40):
        assert client.post("/api/work", json={**body, "at": at}).status_code == 400


def test_an_error_in_a_paper_is_at_its_place(work: Work) -> None:
    text = "# T\n\n```sheet\ngiven x in R[3]\ny = x @ x\n```\n"
    (error, _) = work(text)
    assert (error["line"], error["column"]) == (5, 7) and text[error["from"]] == "@"


def test_a_whole_paper_is_exported(client: TestClient) -> None:
    reply = client.post("/api/export", json={"text": NEURON, "to": "html"})
    assert reply.status_code == 200 and "The secret of it" in reply.text
    assert client.post("/api/export", json={"text": NEURON, "to": "tex"}).status_code == 200


def test_a_paper_is_told_from_a_sheet() -> None:
    assert is_paper(NEURON) and is_paper("~~~sheet\ny = 1\n~~~")
    for text in ("", "y = 1", "# ```sheet", "```python\nx = 1\n```", "# not `sheet`\ny = 1"):
        assert not is_paper(text), text


def test_papers_are_among_the_examples(client: TestClient) -> None:
    papers = [e.name for e in examples() if e.group == "Papers"]
    assert papers == ["exam", "paper"]
    assert is_paper(client.get("/api/examples/paper").json()["text"])


def test_a_served_paper_opens_whole_with_its_data(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("1,2\n")
    paper = tmp_path / "a.md"
    text = BLANKS + '\n```sheet data\ngiven X = file("p.csv")\ny = X\nask forward\n```\n'
    paper.write_text(text)
    start, files = opened(paper, Limits())
    assert start == {"name": "a.md", "text": text} and files == {"p.csv": b"1,2\n"}
    assert named_files(text) == ["p.csv"]
    from backproof.errors import FileProblem

    paper.write_text("# Only prose\n")
    with pytest.raises(FileProblem, match="has no sheet"):
        opened(paper, Limits())


def test_the_students_page_is_as_strict_as_the_other(client: TestClient) -> None:
    from backproof.web.guard import POLICY

    page = client.get("/take")
    assert page.headers["content-security-policy"] == POLICY
    assert "http:" not in page.text and "style=" not in page.text and "onclick" not in page.text
    assert client.get("/take", headers={"host": "evil.example"}).status_code == 421
    for name in ("take.js", "paper.js", "paper.css"):
        reply = client.get(f"/assets/{name}")
        assert reply.status_code == 200 and "http" not in reply.text
    headers = {key: value for key, value in PAGE.items() if key != "x-backproof-page"}
    reply = client.post("/api/paper", json={"do": "paper", "text": NEURON},
                        headers={**headers, "x-backproof-page": "short"})  # fmt: skip
    assert reply.status_code == 400
