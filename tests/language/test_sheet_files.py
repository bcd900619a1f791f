"""Files and Markdown papers: what is read, and how a file can fail to be readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from backproof.errors import FileProblem, NameProblem, Source
from backproof.language import Prose, SheetBlock, parse_markdown, read_sheets

PAPER = """\
# An exam

Some prose.

```sheet first
given x in R
L = x**2
```

Between.

```python
# no heading
```

~~~sheet
given x in R
L = x
L = 2*x
~~~
````md
```sheet not this one
```
````
  ```sheet the third  one
  # Title
  given x in R
  claim x == x
  ```
"""


def test_a_paper_in_blocks() -> None:
    source = Source("exam.md", PAPER)
    paper = parse_markdown(source)
    assert paper.title == "An exam"
    kinds = [type(block) for block in paper.blocks]
    assert kinds == [Prose, SheetBlock, Prose, SheetBlock, Prose, SheetBlock]
    first, second, third = paper.sheets
    assert [block.name for block in paper.sheets] == ["first", "", "the third  one"]
    assert first.sheet is not None and first.error is None
    assert source.slice(first.span) == "given x in R\nL = x**2\n"
    assert third.sheet is not None
    assert (third.sheet.title, third.sheet.name) == ("Title", "the third  one")
    prose = [block.text for block in paper.blocks if isinstance(block, Prose)]
    assert prose[0] == "# An exam\n\nSome prose.\n\n"
    assert prose[1] == "\nBetween.\n\n```python\n# no heading\n```\n\n"
    assert second.sheet is None


def test_a_broken_sheet_does_not_stop_the_others_and_counts_lines_of_the_file() -> None:
    (broken,) = [block for block in parse_markdown(Source("exam.md", PAPER)).sheets if block.error]
    assert isinstance(broken.error, NameProblem)
    assert str(broken.error) == (
        "exam.md:19:1: 'L' is defined twice.\n"
        "  19 | L = 2*x\n"
        "     | ^\n"
        "exam.md:18:1: 'L' is first defined here\n"
        "  18 | L = x\n"
        "     | ^\n"
        "  hint: give the second one another name"
    )


def test_places_are_places_of_the_file() -> None:
    third = parse_markdown(Source("exam.md", PAPER)).sheets[2].sheet
    assert third is not None
    assert third.place(third.claims[0].span).line == 28
    assert third.extended("claim x == 1").claims[1].text == "x == 1"


def test_a_fence_that_is_never_closed() -> None:
    (block,) = parse_markdown(Source("exam.md", "Prose\n\n```sheet\ngiven x in R\n")).sheets
    assert block.error is not None and block.error.place is not None
    assert block.error.message.startswith("This fence is never closed")
    assert block.error.place.line == 3


def test_an_empty_fence() -> None:
    (block,) = parse_markdown(Source("exam.md", "```sheet\n```\n")).sheets
    assert block.error is not None
    assert block.error.message == "The sheet has no statements."


def test_windows_line_ends_in_a_paper() -> None:
    (block,) = parse_markdown(Source("exam.md", PAPER.split("~~~")[0].replace("\n", "\r\n"))).sheets
    assert block.sheet is not None
    assert list(block.sheet.equations) == ["L"]


def test_reading_files(tmp_path: Path) -> None:
    paper, sheet = tmp_path / "exam.md", tmp_path / "net.sheet"
    paper.write_text(PAPER, encoding="utf-8")
    sheet.write_bytes("\ufeff# Ein Netz\r\ngiven α in R\r\nL = α\r\n".encode())
    assert len(read_sheets(paper).sheets) == 3
    document = read_sheets(sheet)
    (block,) = document.blocks
    assert document.title == "Ein Netz"
    assert document.source.name == str(sheet)
    assert isinstance(block, SheetBlock) and block.sheet is not None
    assert list(block.sheet.declarations) == ["α"]


def test_a_broken_sheet_file_raises(tmp_path: Path) -> None:
    path = tmp_path / "net.sheet"
    path.write_text("given x in R\nL = y\n")
    with pytest.raises(NameProblem, match="Unknown name 'y'"):
        read_sheets(path)


def problem(path: Path) -> tuple[str, str]:
    with pytest.raises(FileProblem) as caught:
        read_sheets(path)
    return caught.value.message.replace(str(path.parent), "DIR"), caught.value.hint


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "siamese.sheet").write_text("given x in R\n")
    message, hint = problem(tmp_path / "siamise.sheet")
    assert message == "There is no file 'DIR/siamise.sheet'."
    assert hint == f"did you mean '{tmp_path / 'siamese.sheet'}'?"
    assert "no directory" in problem(tmp_path / "a" / "b.sheet")[1]
    (tmp_path / "d.sheet").mkdir()
    assert problem(tmp_path / "d.sheet")[0] == "'DIR/d.sheet' is a directory; expected a file."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file 'DIR/f.sheet' is empty; it has no statements."),
        (b" \n\n", "The file 'DIR/f.sheet' is empty; it has no statements."),
        (b"L = \0", "The file 'DIR/f.sheet' is not text: byte 4 is NUL."),
        (
            b"given x in R\n# caf\xe9\n",
            "The file 'DIR/f.sheet' is not UTF-8: byte 18 (0xe9, in line 2) cannot be decoded.",
        ),
        (
            "L = 1".encode("utf-16"),
            "The file 'DIR/f.sheet' is not UTF-8: it begins like UTF-16.",
        ),
    ],
)
def test_files_that_are_not_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "f.sheet"
    path.write_bytes(data)
    assert problem(path)[0] == message
