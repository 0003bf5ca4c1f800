"""The scorecard: what came of many questions, each asked a number of times, as figures with 95 % intervals.

    right                 of the answers whose row expects something (judging.py has the rule)
    cited                 accepted answers whose every quote stands in its source
    rightly unanswered    of the questions that the documents do not answer
    wrong accepted        accepted, though not right
    pass^k, pass@k        the chance that k attempts at one question are all right, that one of them is

What is not covered: an attempt that was interrupted; it is in no figure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilotage.evals.estimates import (
    RESAMPLES,
    SEED,
    Estimate,
    Groups,
    average,
    figure_of,
    median,
    p95,
    pass_all,
    pass_any,
    share_of,
)
from pilotage.evals.judging import Attempt, judge
from pilotage.evals.questions import GOLDEN, Question, read_questions
from pilotage.outcome import Result

__all__ = ["GOLDEN", "Question", "Scorecard", "Tally", "count", "read_questions", "score"]
OTHER = "other"  # kind of the rows that name none
UNASKED = Estimate(None, None, None, 0, "")


@dataclass(frozen=True)
class Tally:
    """What one question came to, over all its attempts; the counts are of judged ones."""

    id: str
    kind: str | None
    question: str
    asked: int
    right: int
    wrong_accepted: int
    outcomes: dict[str, int]


@dataclass(frozen=True)
class Scorecard:
    """All attempts with one model. `right` is a share of the `judged` attempts; `shares` has it with its interval."""

    model: str
    times: int
    tallies: list[Tally]
    attempts: int
    outcomes: dict[str, int]
    shares: dict[str, Estimate]
    pass_all: list[Estimate]  # for k = 1, 2, …
    pass_any: list[Estimate]
    amounts: dict[str, Estimate]
    tokens: int
    usd: float | None
    kinds: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def questions(self) -> int:
        return len(self.tallies)

    @property
    def judged(self) -> int:
        return self.shares["right"].of

    @property
    def right(self) -> float:
        return self.shares["right"].value or 0.0

    def as_json(self) -> dict[str, Any]:
        """Also what `--save` keeps for `--baseline`: `rows` are the tallies."""
        flat = {"model": self.model, "questions": self.questions, "times": self.times, "attempts": self.attempts}
        shares = {name: estimate.as_json() for name, estimate in self.shares.items()}
        return {
            **flat, "interrupted": self.interrupted, "outcomes": self.outcomes, "judged": self.judged,
            "right": self.right, "seconds_median": self.amounts["seconds_median"].value,
            "seconds_p95": self.amounts["seconds_p95"].value, "tokens": self.tokens, "usd": self.usd, "shares": shares,
            "pass_hat_k": [{"k": k, **estimate.as_json()} for k, estimate in enumerate(self.pass_all, 1)],
            "pass_at_k": [{"k": k, **estimate.as_json()} for k, estimate in enumerate(self.pass_any, 1)],
            "amounts": {name: estimate.as_json() for name, estimate in self.amounts.items()},
            "kinds": {kind: {name: e.as_json() for name, e in found.items()} for kind, found in self.kinds.items()},
            "bootstrap": {"seed": SEED, "resamples": RESAMPLES}, "rows": [dict(row.__dict__) for row in self.tallies],
        }  # fmt: skip

    def table(self) -> str:
        from pilotage.evals.showing import lines_of

        return "\n".join(lines_of([self]))


def score(questions: Sequence[Question], results: Iterable[Result], model: str = "") -> Scorecard:
    """The card of questions that were asked once each."""
    return count([judge(q, r) for q, r in zip(questions, results, strict=False)], model)


def count(attempts: Sequence[Attempt], model: str, *, times: int = 1, interrupted: bool = False) -> Scorecard:
    """The card of all attempts with one model; `times` is how often each question was to be asked."""
    kept = [attempt for attempt in attempts if attempt.outcome != "interrupted"]
    spent = [attempt.usd for attempt in kept]
    tallies = _tallies(kept)
    return Scorecard(
        model=model, times=times, tallies=tallies, attempts=len(kept),
        outcomes=dict(sorted(Counter(attempt.outcome for attempt in kept).items())),
        shares=_shares(kept), pass_all=_passes(pass_all, tallies, times), pass_any=_passes(pass_any, tallies, times),
        amounts=_amounts(kept), tokens=sum(attempt.tokens for attempt in kept),
        usd=None if None in spent else round(sum(usd or 0.0 for usd in spent), 9),
        kinds=_kinds(kept, times), interrupted=interrupted or len(kept) < len(attempts),
    )  # fmt: skip


def _tallies(attempts: Sequence[Attempt]) -> list[Tally]:
    found = []
    for group in _by_question(attempts):
        question = group[0].question
        judged = [attempt for attempt in group if attempt.right is not None]
        found.append(
            Tally(
                question.id, question.kind, question.question, len(judged), sum(bool(a.right) for a in judged),
                sum(a.is_wrong for a in judged), dict(sorted(Counter(a.outcome for a in group).items())),
            )
        )  # fmt: skip
    return found


def _shares(attempts: Sequence[Attempt]) -> dict[str, Estimate]:
    return {
        "right": _share(attempts, lambda a: a.right),
        "cited": _share(attempts, lambda a: a.cited),
        "rightly_unanswered": _share(attempts, lambda a: a.right if a.question.outcome == "unanswered" else None),
        "wrong_accepted": _share(attempts, lambda a: None if a.right is None else a.is_wrong),
    }


def _amounts(attempts: Sequence[Attempt]) -> dict[str, Estimate]:
    """Seconds, tokens and dollars of one attempt; no dollars when one of them is unpriced."""
    seconds = _grouped(attempts, lambda a: a.seconds)
    priced = all(attempt.usd is not None for attempt in attempts)
    return {
        "seconds_median": figure_of(seconds, median),
        "seconds_p95": figure_of(seconds, p95),
        "tokens_mean": figure_of(_grouped(attempts, lambda a: a.tokens), average),
        "usd_mean": figure_of(_grouped(attempts, lambda a: a.usd), average) if priced else UNASKED,
    }


def _passes(rule: Callable[[int, int, int], float], tallies: Sequence[Tally], times: int) -> list[Estimate]:
    """By k, over the questions that were asked k times at least."""
    asked = range(1, times + 1)
    return [share_of([[rule(t.asked, t.right, k)] for t in tallies if t.asked >= k]) for k in asked]


def _kinds(attempts: Sequence[Attempt], times: int) -> dict[str, dict[str, Estimate]]:
    """By kind, in the order of the file; {} when no row names one."""
    by_kind: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_kind[attempt.question.kind or OTHER].append(attempt)
    if set(by_kind) <= {OTHER}:
        return {}
    return {kind: _shares(group) | {"pass_hat_k": _last(group, times)} for kind, group in by_kind.items()}


def _last(attempts: Sequence[Attempt], times: int) -> Estimate:
    return _passes(pass_all, _tallies(attempts), times)[-1]


def _share(attempts: Sequence[Attempt], is_so: Callable[[Attempt], bool | None]) -> Estimate:
    return share_of(_grouped(attempts, is_so))


def _grouped(attempts: Sequence[Attempt], value: Callable[[Attempt], float | None]) -> Groups:
    """By question, the values that there are."""
    groups = [[value(attempt) for attempt in group] for group in _by_question(attempts)]
    return [[float(number) for number in group if number is not None] for group in groups]


def _by_question(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    groups: dict[Question, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[attempt.question].append(attempt)
    return list(groups.values())
