"""Pins every transitive version in pyproject.toml ([tool.uv] constraint-dependencies) from a fresh resolution.

    make lock        then run the tests, and commit pyproject.toml when they pass

uv.lock says the same with download addresses of one index, so it stays out of git.
"""

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
BEGIN, END = "# >>> pinned by `make lock`", "# <<< pinned by `make lock`"


def main() -> None:
    text = PROJECT.read_text("utf-8")
    unpinned = re.sub(rf"{re.escape(BEGIN)}.*?{re.escape(END)}", f"{BEGIN}\n{END}", text, flags=re.DOTALL)
    PROJECT.write_text(unpinned, "utf-8")
    try:
        uv("lock", "--upgrade", "--quiet")
        pins = uv("export", "--quiet", "--all-extras", "--all-groups", "--no-emit-project",
                  "--no-hashes", "--no-annotate", "--no-header").split("\n")  # fmt: skip
    except subprocess.CalledProcessError:
        PROJECT.write_text(text, "utf-8")
        raise
    rows = "\n".join(f'    "{pin}",' for pin in pins if pin.strip())
    block = f"{BEGIN}\nconstraint-dependencies = [\n{rows}\n]\n{END}"
    PROJECT.write_text(unpinned.replace(f"{BEGIN}\n{END}", block), "utf-8")
    print(f"{rows.count(chr(10)) + 1} versions pinned in {PROJECT.name}")


def uv(*arguments: str) -> str:
    return subprocess.run(["uv", *arguments], cwd=PROJECT.parent, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
