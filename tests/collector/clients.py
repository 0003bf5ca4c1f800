"""Python environments of other programs: AgentOps' SDK as its users install it, without anything of this project.

Built once by `uv`, or venv and pip, in the folder for temporary files, and used again by later runs of the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AGENTOPS = ("agentops==0.4.21", "openai>=2,<3", "opentelemetry-sdk<1.45", "opentelemetry-exporter-otlp-proto-http<1.45")
SLOWEST = 240  # seconds


class NotBuilt(Exception):
    """The environment cannot be had here; says why."""


def environment(packages: tuple[str, ...] = AGENTOPS) -> Path:
    """The Python of an environment with these packages."""
    name = hashlib.sha256(repr((packages, sys.version_info[:2])).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"pilotage-client-{name}"
    if not (folder / "ready").exists():
        _build(folder, packages)
    return folder / "bin" / "python"


def _build(folder: Path, packages: tuple[str, ...]) -> None:
    making = Path(tempfile.mkdtemp(prefix="pilotage-client-"))
    try:
        if shutil.which("uv"):
            _run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(making))
            _run("uv", "pip", "install", "--quiet", "--python", str(making / "bin" / "python"), *packages)
        else:
            _run(sys.executable, "-m", "venv", "--clear", str(making))
            _run(str(making / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)
        (making / "ready").touch()
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(making, folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _run(*command: str) -> None:
    try:
        elsewhere = tempfile.gettempdir()  # where no pyproject.toml pins versions
        done = subprocess.run(command, capture_output=True, text=True, timeout=SLOWEST, check=False, cwd=elsewhere)
    except subprocess.TimeoutExpired:
        raise NotBuilt(f"{command[0]} took longer than {SLOWEST} seconds") from None
    if done.returncode:
        raise NotBuilt(f"{command[0]} could not install the client: {done.stderr.strip().splitlines()[-1:]}")
