"""`python -m pilotage`: the same as the `pilotage` command."""

from pilotage.cli import main

main()
