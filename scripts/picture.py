"""Makes docs/terminal.svg for the README by running the command and drawing what the terminal shows.

uv run python scripts/picture.py
"""

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
WIDTH = 110


def main() -> None:
    command = [str(Path(sys.executable).parent / "run_crew")]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)  # the index is built, the disk is warm
    process = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True)
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ uv run crewai run", style="bold"))
    console.print(Text(process.stdout.rstrip()))
    picture = console.export_svg(title="pilotage")
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # no font from another host
    (ROOT / "docs/terminal.svg").write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
