"""The scripts behind `crewai run`, `crewai test`, `crewai train` and `crewai replay`."""

import sys

from pilotage import cli


def run() -> None:
    """crewai run: answers the question in config/pilotage.yaml, or QUESTION."""
    cli.main(["run"])


def test() -> None:
    """crewai test: the golden questions in tests/evals; the model is MODEL, not the one CrewAI passes."""
    cli.main(["eval"])


def train() -> None:
    """crewai train needs a person at the keyboard and writes a pickle that runs do not read."""
    sys.exit("Not used here: change the words in config/*.yaml and measure with `pilotage eval`.")


def replay() -> None:
    """crewai replay knows the last run only, and no checks."""
    sys.exit("Not used here: `pilotage sessions` lists all recorded runs, `pilotage show RUN` prints one step by step.")
