"""Which file a model string means, and whether it can be loaded: it is there, it is GGUF, its package is installed, it
fits into memory. What is not covered: whether llama.cpp knows what is inside, which only loading tells.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pilotage.errors import ConfigError

PREFIX = "gguf:"
MAGIC = b"GGUF"
PACKAGE = "xllamacpp"
INSTALL = 'uv sync --extra local, or pip install "pilotage[local]"'
A_TOKEN = 64 * 1024  # bytes of cache for a token of context; 28 KiB for a model of 1.5 B, 128 KiB for one of 8 B
GIB = 2**30


def is_local(name: str) -> bool:
    """Whether a model string names a file of this machine."""
    return name.startswith(PREFIX)


def path_of(name: str, root: Path) -> Path:
    """The file of `gguf:/models/q.gguf`, `gguf:~/q.gguf` or `gguf:models/q.gguf`, the last one within the project."""
    return (root / Path(name.removeprefix(PREFIX)).expanduser()).resolve()


def check(path: Path, context: int) -> None:
    """Raise ConfigError when the file cannot be loaded on this machine."""
    if not _is_installed():
        raise ConfigError(f"The model {path.name} needs {PACKAGE}, which is not installed", hint=INSTALL)
    if not path.is_file():
        raise ConfigError(f"There is no model file {path}", hint="set MODEL to gguf: and the path of a .gguf file")
    size = _size_of_gguf(path)
    need, free = size + context * A_TOKEN, _free_memory()
    if need > free:
        said = f"{path.name} needs about {need / GIB:.1f} GiB of memory, {free / GIB:.1f} GiB are free"
        raise ConfigError(said, hint="use a smaller file, or lower local.context")


def _is_installed() -> bool:
    return importlib.util.find_spec(PACKAGE) is not None


def _size_of_gguf(path: Path) -> int:
    try:
        with path.open("rb") as opened:
            head = opened.read(len(MAGIC))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="see who may read the file") from None
    if head != MAGIC:
        hint = "a model in another format must be converted; a pointer of Git LFS must be fetched"
        raise ConfigError(f"{path} is no GGUF file", hint=hint)
    return path.stat().st_size


def _free_memory() -> int:
    """Bytes that a process may still take without swapping; the cap of a container is not known here."""
    import psutil

    return int(psutil.virtual_memory().available)
