"""A question as a paper poses it: its marks, choices to choose from, pairs to match.

Plain data that a renderer shows; who makes the choices is none of its business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Formula = tuple[str, str]  # LaTeX, or "", and the text as written


@dataclass(frozen=True)
class Option:
    """One of the things to choose from, with its letter; `why` is said in the solutions."""

    letter: str
    said: Formula
    right: bool = False
    why: str = ""


@dataclass(frozen=True)
class Part:
    """One thing to answer.

    prompt    what is asked for
    left      what is to be matched, in order; () where one is to be chosen
    options   what to choose from; () where the answer is written
    answer    the letters that are right, for the solutions
    """

    prompt: Formula
    left: tuple[Formula, ...] = ()
    options: tuple[Option, ...] = ()
    answer: str = ""
    words: str = ""


@dataclass(frozen=True)
class Posed:
    """One ask as posed; `marks` is "" where it has none of its own."""

    marks: str = ""
    parts: tuple[Part, ...] = ()


Posing = Mapping[tuple[int, int], Posed]  # (sheet, ask), counted from zero in the file
