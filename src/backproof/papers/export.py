"""A paper as a file for a course: written, read back, scored, and only then handed over."""

from __future__ import annotations

from dataclasses import dataclass

from backproof.papers.canvas import canvas_package, one_interaction
from backproof.papers.moodle import moodle_xml, scale_of
from backproof.papers.paper import Paper
from backproof.papers.qti import qti_package
from backproof.papers.quiz import quiz_of
from backproof.papers.reimport import (
    canvas_questions,
    check_export,
    moodle_questions,
    qti_questions,
)


@dataclass(frozen=True)
class Exported:
    """A quiz as a file: its content, how many questions, how many answers were tried on it.

    scale   what the paper's marks are multiplied with in the file
    """

    content: str | bytes
    questions: int
    tried: int
    scale: int = 1


def export(paper: Paper, to: str, version: str = "2.1") -> Exported:
    """The paper for `moodle`, `qti` (of a version) or `canvas`, checked by reading it back."""
    quiz = quiz_of(paper)
    content: str | bytes
    scale = scale_of(quiz) if to == "moodle" else 1
    if to == "moodle":
        content = moodle_xml(quiz)
        entries, questions = list(quiz.entries), moodle_questions(content)
    elif to == "qti":
        content = qti_package(quiz, version)
        entries, questions = list(quiz.entries), qti_questions(content)
    else:
        content = canvas_package(quiz)
        entries = [one for entry in quiz.entries for one in one_interaction(entry)]
        questions = canvas_questions(content)
    tried = check_export(entries, questions, scale)
    return Exported(content, len(questions), tried, scale)
