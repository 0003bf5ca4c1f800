"""The command that serves the pages: `pilotage replay`. The server is imported when it is used."""

from __future__ import annotations

from typing import Annotated

import typer

from pilotage.terminal import settings_from


def replay(
    name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Its page: a run's id, the beginning of one, or `last`.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Default: replay.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: replay.port; 0 takes a free one.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Look at the recorded runs in the browser, while they run and afterwards.

    Programs with the AgentOps SDK or an OpenTelemetry exporter can record to the same address. Ctrl-C ends it.

    Example: pilotage replay last --open
    """
    from pilotage.record.journal import find_run
    from pilotage.replay.serve import serve
    from pilotage.terminal import open_journal

    settings = settings_from([])
    run = find_run(open_journal(), name) if name else ""
    serve(settings, host, port, run=run, open_browser=open_)
