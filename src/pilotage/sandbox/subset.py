"""Whether an error of monty's speaks of the code, or of monty: what its subset of Python leaves out.

It is read from the error's words, so code that raises the same words itself is run by CPython too, where there is one.
"""

from __future__ import annotations

import builtins
import re
import sys

TIME = re.compile(r"^TimeoutError: (?:feed time|turn time|sleep) limit exceeded")
MEMORY = re.compile(r"^MemoryError: (?:memory limit exceeded|the worker exceeded its memory limit)")

_SYNTAX = re.compile(r"The monty syntax parser does not yet support (.+)")
_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
_IMPORT = re.compile(r"ImportError: cannot import name '(\w+)' from '(\w+)")
_NAME = re.compile(r"NameError: name '(\w+)' is not defined")
_MEMBER = re.compile(r"AttributeError: module '([\w.]+)' has no attribute '(\w+)'")
_ATTRIBUTE = re.compile(r"AttributeError: (?:type object )?'([\w.]+)'(?: object)? has no attribute '(\w+)'")
_FILE = re.compile(r"PermissionError: Permission denied: ")
_INNER = re.compile(r"Internal error in monty|is not supported in this environment|cannot create '\w+' instances")
_UNSURE = re.compile(r"(?:TypeError|AttributeError|RuntimeError|LookupError|re\.PatternError)\b")


def beyond(error: str, kind: str) -> str:
    """What the code asks that monty has not, in words; "" when the error is the code's own."""
    if found := _SYNTAX.search(error):
        return _lacks(found[1].rstrip("."))
    if kind == "MontySyntaxError":  # CPython's parser took it
        return _lacks(f"this syntax ({error})")
    if (found := _MODULE.match(error)) and found[1] in sys.stdlib_module_names:
        return _lacks(f"import {found[1]}")
    if (found := _IMPORT.match(error)) and found[2] in sys.stdlib_module_names:
        return _lacks(f"{found[2]}.{found[1]}")
    if (found := _NAME.match(error)) and (hasattr(builtins, found[1]) or found[1] == "__builtins__"):
        return _lacks(found[1])
    if (found := _MEMBER.match(error)) and _has(sys.modules.get(found[1]), found[2]):
        return _lacks(f"{found[1]}.{found[2]}")
    if (found := _ATTRIBUTE.match(error)) and (found[2].startswith("__") or _type_has(found[1], found[2])):
        return _lacks(f"{found[1]}.{found[2]}")
    if _FILE.match(error):
        return "monty has no files"
    if _INNER.search(error):
        return f"monty cannot do this ({error})"
    return _lacks("SystemExit") if error.startswith("SystemExit") else ""


def doubt(error: str) -> str:
    """Why CPython should have the last word on an error that the code may have made, or that monty may have."""
    return "monty may differ here" if _UNSURE.match(error) else ""


def _lacks(what: str) -> str:
    return f"{what} is not in monty's subset"


def _type_has(kind: str, name: str) -> bool:
    """Whether CPython's type of that name has the attribute; a class of the code's own is none of CPython's."""
    module, _, last = kind.rpartition(".")
    owner = getattr(sys.modules.get(module or "builtins"), last, None)
    return _has(owner, name) if owner or module else False


def _has(owner: object, name: str) -> bool:
    """Whether CPython knows the name there; a module that is not loaded here is not loaded to find out."""
    return owner is None or hasattr(owner, name)
