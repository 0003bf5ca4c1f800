"""`pilotage eval`: golden questions asked anew or played from tapes, as a scorecard and as an exit code for CI.

What is not covered: judging a session of another program; only this project's crew is asked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pilotage import errors
from pilotage.cli_answer import say_model
from pilotage.errors import ConfigError
from pilotage.report import printable, say
from pilotage.signals import STOPS
from pilotage.terminal import Json, KnowledgeDir, Set, print_lines, settings_from

if TYPE_CHECKING:
    from pilotage.evals.asking import Asked
    from pilotage.evals.comparing import Comparison
    from pilotage.evals.playing import Played
    from pilotage.evals.questions import Question
    from pilotage.evals.score import Scorecard, Tally
    from pilotage.settings import Settings

CREWAI_TEST_MODEL = "gpt-5.4-mini"  # what `crewai test` without -m passes (crewai 1.15)
Format = Literal["table", "markdown", "json"]


def eval_(
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines with question and, if known, id, kind, answer, answers, outcome.")
    ] = None,
    knowledge: KnowledgeDir = None,
    times: Annotated[int, typer.Option(min=1, max=100, metavar="K", help="Ask each question so often.")] = 1,
    model: Annotated[
        list[str], typer.Option("--model", metavar="NAME", help="Ask this model; repeated: side by side.")
    ] = [],  # noqa: B006 (typer reads the default once)
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with a saved scorecard; exit 1 on a significant drop.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the scorecard as a baseline.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write a line of JSON per run here.")] = None,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="Exit 1 when a smaller share is right.")] = 0.0,
    tapes: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Answer from recorded tapes: free, no key; exit 1 on a change.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Record the tapes anew with the configured model.")] = False,
    format_: Annotated[Format, typer.Option("--format", help="How the scorecard is printed.")] = "table",
    set_: Set = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Answer many questions and say how reliable the answers are.

    Each is a full crew run with its journal, made anew. Without --questions: the golden ones in tests/evals.

    Example: pilotage eval --times 3 --save runs/eval.json

    Before a change of model: pilotage eval --model reader --model openai/gpt-4o-mini

    In CI: pilotage eval --at-least 0.8 --baseline eval.json; pilotage eval --tapes tests/evals/tapes
    """
    settings, shape = settings_from(set_), "json" if as_json else format_
    if update and not tapes:
        raise ConfigError("--update records tapes", hint="pilotage eval --tapes DIR --update")
    if tapes:
        _check_alone(times > 1 or model or baseline or save, out)
        if update:
            say_model(settings)
        code = on_tapes(
            settings, tapes, questions, knowledge=knowledge, update=update, at_least=at_least, as_json=shape == "json"
        )
        raise typer.Exit(code)
    if len(model) != len(set(model)) or (len(model) > 1 and (baseline or save)):
        raise ConfigError(
            "--baseline and --save take one --model, and each is named once", hint="--format json has all"
        )
    raise typer.Exit(_anew(settings, questions, knowledge, times, model, baseline, save, out, at_least, shape))


def crewai_test(arguments: list[str]) -> list[str]:
    """The arguments of `pilotage` for those of `crewai test -n N -m MODEL`, which calls its script with N and MODEL."""
    times, model = (*arguments, "", "")[:2]
    if model == CREWAI_TEST_MODEL:
        say(f"note: {model} is what CrewAI names when nobody does: asking the configured model; -m names another")
        model = ""
    return ["eval", *(["--times", times] if times else []), *(["--model", model] if model else [])]


def _check_alone(more: object, out: Path | None) -> None:
    if out:
        raise ConfigError("--tapes and --out exclude each other", hint="--json has what came of the tapes")
    if more:
        problem = "--tapes excludes --times, --model, --baseline and --save: a tape has one answer, of one model"
        raise ConfigError(problem, hint="leave out --tapes to ask anew")


def _anew(
    settings: Settings, file: Path | None, knowledge: Path | None, times: int, models: list[str],
    baseline: Path | None, save_to: Path | None, out: Path | None, at_least: float, shape: str,
) -> int:  # fmt: skip
    from pilotage import report
    from pilotage.evals import asking, comparing
    from pilotage.evals.questions import GOLDEN, read_questions

    rows = read_questions(file or settings.root / GOLDEN)
    before = comparing.read_baseline(baseline) if baseline else None
    if save_to:
        comparing.check_writable(save_to)
    _say_models(settings, models)
    asked = asking.ask(
        settings, rows, models=models, times=times, knowledge=knowledge, out=out, progress=report.progress_bar()
    )
    cards, comparisons = asked.cards, _compared(asked, before)
    _print(cards, comparisons, shape)
    if save_to:
        _save(cards[0], save_to)
    return _exit_code(asked, cards, comparisons if before else [], at_least)


def _say_models(settings: Settings, models: list[str]) -> None:
    if not models:
        say_model(settings)
        return
    say(printable(f"model: {', '.join(models)}"))
    say("loading …")


def _compared(asked: Asked, before: tuple[str, list[Tally]] | None) -> list[Comparison]:
    """Against the baseline, or every further model against the first one."""
    from pilotage.evals.comparing import compare

    first, *others = asked.cards
    if before:
        return [compare(before[1], first.tallies, (f"the baseline ({before[0]})", first.model))]
    return [compare(first.tallies, other.tallies, (first.model, other.model)) for other in others]


def _print(cards: list[Scorecard], comparisons: list[Comparison], shape: str) -> None:
    """One card is one document with what it was compared with; several stand under `models`."""
    from pilotage.evals.showing import lines_of

    if shape != "json":
        lines = lines_of(cards, comparisons, "markdown" if shape == "markdown" else "table")
        print_lines(printable(line) for line in lines)
        return
    told = [comparison.as_json() for comparison in comparisons]
    document = cards[0].as_json() if len(cards) == 1 else {"models": [card.as_json() for card in cards]}
    print_lines([json.dumps(document | ({"comparisons": told} if told else {}), ensure_ascii=False)])


def _save(card: Scorecard, path: Path) -> None:
    from pilotage.evals.comparing import save

    if card.interrupted:
        say(f"not saved: the evaluation was interrupted, {path} stays as it was")
    else:
        save(card, path)


def _exit_code(asked: Asked, cards: list[Scorecard], against_baseline: list[Comparison], at_least: float) -> int:
    """That of the signal when there was one; 1 when something is worse than it may be, with a line that says what."""
    code = errors.EXIT_OK
    for card in cards:
        if card.right < at_least:
            said = (
                f"{card.right:.1%} of {card.judged} answers are right against the {at_least:.1%} asked for (--at-least)"
            )
            say(printable(f"{card.model}: {said}"))
            code = errors.EXIT_REJECTED
    for comparison in against_baseline:
        if comparison.is_worse:
            say(printable(f"{comparison.after}: significantly worse than {comparison.before} (--baseline)"))
            code = errors.EXIT_REJECTED
    if asked.exit_code is not None:
        say("interrupted: the figures are of what was done")
        STOPS.code = code = asked.exit_code
    return code


def on_tapes(
    settings: Settings, folder: Path, questions: Path | None, *, knowledge: Path | None, update: bool, at_least: float,
    as_json: bool,
) -> int:  # fmt: skip
    """Record the tapes when asked to, play them, print what came of them; the exit code."""
    from pilotage import report
    from pilotage.evals.playing import play_all, record_all

    rows = _questions(settings, folder, questions)
    failed = record_all(settings, folder, rows, knowledge=knowledge, progress=report.progress_bar()) if update else []
    if not folder.is_dir():
        raise ConfigError(
            f"There is no folder of tapes {folder}", hint="pilotage eval --tapes DIR --update records them"
        )
    played = play_all(settings, folder, rows, knowledge=knowledge, progress=report.progress_bar())
    lost = {change.id for change in failed}
    played.changes[:] = [*failed, *(change for change in played.changes if change.id not in lost)]
    print_lines([json.dumps(played.as_json(), ensure_ascii=False)] if as_json else _lines(played))
    right = played.card is None or played.card.right >= at_least
    return errors.EXIT_OK if played.is_whole and right else errors.EXIT_REJECTED


def _questions(settings: Settings, folder: Path, given: Path | None) -> list[Question]:
    from pilotage.evals.questions import GOLDEN, read_questions
    from pilotage.evals.tapes import QUESTIONS

    own = folder / QUESTIONS
    rows = read_questions(given or (own if own.is_file() else settings.root / GOLDEN))
    seen: set[str] = set()
    for row in rows:
        if row.id.lower() in seen:
            raise ConfigError(f'Two questions have the id "{row.id}"', hint="each tape is named after its question")
        seen.add(row.id.lower())
    return rows


def _lines(played: Played) -> list[str]:
    lines = [printable(change.lines(), "\n") for change in played.changes]
    lines += [printable(f"no tape: {name}") for name in played.untaped]
    lines += [printable(f"no question: {name}") for name in played.unasked]
    if not played.is_whole:
        say("hint: when the change is wanted, record anew: pilotage eval --tapes DIR --update")
    if played.card:
        lines += [f"{'unchanged':<12}{played.unchanged} of {played.card.questions}", played.card.table()]
    return lines
