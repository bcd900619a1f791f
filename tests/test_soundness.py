"""A small seeded run of the soundness benchmark: nothing contradicts the independent judge."""

from __future__ import annotations

from benchmarks.soundness import run, summary


def test_no_wrong_verdict_among_random_claims() -> None:
    tally = run(150, seed=7, workers=1)
    assert not tally.wrong, "\n\n".join(tally.wrong)
    assert tally.claims >= 150
    made = {(how, said) for how, said, _ in tally.verdicts}
    assert {("rewritten", "true"), ("mutated", "false")} <= made
    assert tally.rewritten("proved") >= 0.9 * tally.rewritten(), "\n\n".join(tally.unproved)
    assert "0 wrong verdicts" in summary(tally, 1.0)
