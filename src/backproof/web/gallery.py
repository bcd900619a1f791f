"""The examples: sheets and papers that come with the package, by their names and titles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backproof.errors import BackproofError
from backproof.language.files import read_source

# The first ones that a newcomer sees, and what the rest is called.
FIRST = ("logistic", "mlp", "siamese", "softmax", "svm", "autoencoder")


@dataclass(frozen=True, slots=True)
class Example:
    """A sheet or a paper that comes with the package."""

    name: str
    title: str
    text: str
    group: str


def folder() -> Path | None:
    """Where the examples are: in an installed package beside it, in a checkout at its top."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "examples", package.parent.parent / "examples"):
        if (place / "siamese.sheet").is_file():
            return place
    return None


@cache
def examples() -> tuple[Example, ...]:
    """Every example: networks first, then the questions of the exam in their order, then papers."""
    place = folder()
    found = []
    paths = sorted(place.iterdir()) if place is not None else []
    for path in (p for p in paths if p.suffix in (".sheet", ".md")):
        try:
            text = read_source(path).text
        except BackproofError:
            continue
        head = text.split("\n", 1)[0]
        title = head.lstrip("# ").strip() if head.startswith("#") else path.stem
        group = "Networks" if path.stem in FIRST else "Questions of an exam"
        if path.suffix == ".md":
            group = "Papers"
        found.append(Example(path.stem, title, text, group))
    rank = {name: k for k, name in enumerate(FIRST)}
    last = len(FIRST)
    return tuple(sorted(found, key=lambda e: (e.group == "Papers", rank.get(e.name, last), e.name)))
