"""What the commands that make a run share: a run on the terminal, watched as it goes, told, and its exit code."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from pilotage.report import printable, say
from pilotage.signals import STOPS
from pilotage.terminal import print_lines

if TYPE_CHECKING:
    from pilotage.outcome import Result
    from pilotage.settings import Settings


def answer(question: str | None, settings: Settings, *, as_json: bool, **more: Any) -> NoReturn:
    """Make the run and print what came of it; `more` goes to run_crew. Ends the command with the run's exit code."""
    from pilotage import live, report
    from pilotage.run import run_crew

    def tell(result: Result) -> None:
        listener.close()
        if as_json:
            print_lines([json.dumps(result.as_json(), ensure_ascii=False)])
        else:
            report.print_result(result)
        STOPS.code = result.exit_code

    say_model(settings)
    with contextlib.closing(live.progress()) as listener:
        result = run_crew(
            question, settings=settings, then=tell, listener=listener, progress=report.progress_bar(), **more
        )
    raise typer.Exit(result.exit_code)


def say_model(settings: Settings) -> None:
    from pilotage.model.factory import READER, READER_NOTICE, model_name

    models = list(dict.fromkeys(model_name(settings, agent) for agent in settings.agents))
    say(READER_NOTICE if models == [READER] else printable(f"model: {', '.join(models)}"))
    say("loading …")


def redacted(text: str) -> str:
    """For what is told of a record on the terminal; a message of ours may repeat what somebody has typed."""
    from pilotage.record.redact import Redactor

    return Redactor().text(text)
