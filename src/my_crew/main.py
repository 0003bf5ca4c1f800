"""The scripts behind `crewai run`, `crewai test`, `crewai train` and `crewai replay`."""

import sys

from pilotage import cli, cli_eval


def run() -> None:
    """crewai run: answers the question in config/pilotage.yaml, or QUESTION."""
    cli.main(["run"])


def test() -> None:
    """crewai test -n N -m MODEL: the golden questions in tests/evals, each N times; without -m the configured model."""
    cli.main(cli_eval.crewai_test(sys.argv[1:]))


def train() -> None:
    """crewai train needs a person at the keyboard and writes a pickle that runs do not read."""
    sys.exit("Not used here: change the words in config/*.yaml and measure with `pilotage eval`.")


def replay() -> None:
    """crewai replay knows the last run only, and no checks."""
    sys.exit("Not used here: `pilotage sessions` lists all recorded runs, `pilotage show RUN` prints one step by step.")
