"""The arguments of a call as the agent gave them: CrewAI lets all of them through to the guard, which reads them.

CrewAI (1.15) itself refuses arguments that do not fit, before a tool sees them: such a call would be counted and
journalled nowhere. So the model is shown the same schema, but only the guard validates by it; and calls whose
arguments are no JSON object go to the guard from where CrewAI parses them. tests/tools/test_given.py tells when CrewAI
reads them elsewhere. What is not covered: a second equal call in a row in the text form, which CrewAI itself answers.
"""

from __future__ import annotations

import functools
import inspect
import json
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from pilotage.errors import ToolError
from pilotage.guard.fence import clean

REFUSE = "__pilotage_refuse__"  # of a guarded tool object: answers a call whose arguments are no object
FAULTS = 3  # that one sentence names
SHOWN = 60  # characters of a value in a sentence
EXPECTED = {
    "int": "a whole number", "float": "a number", "decimal": "a number", "bool": "true or false", "string": "a text",
    "list": "a list", "tuple": "a list", "set": "a list", "dict": "an object", "model": "an object", "none": "null",
}  # fmt: skip


@dataclass(frozen=True)
class _Given:
    arguments: dict[str, Any]

    def model_dump(self) -> dict[str, Any]:
        return self.arguments


def as_given(schema: type[BaseModel]) -> type[BaseModel]:
    """A schema that looks the same to a model and takes whatever it is given."""

    def model_validate(given: Any, **_: Any) -> Any:
        return _Given(dict(given))

    names = {"__doc__": schema.__doc__, "__module__": schema.__module__, "model_validate": staticmethod(model_validate)}
    made: type[BaseModel] = types.new_class(schema.__name__, (schema,), exec_body=lambda body: body.update(names))
    return made


def read_arguments(schema: type[BaseModel], function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the function takes them; ToolError says in one sentence what is wrong with them."""
    if not schema.model_fields and _takes_any(function):
        return dict(given)
    try:
        return schema.model_validate(dict(given)).model_dump()
    except ValidationError as error:
        faults = [_sentence(fault) for fault in error.errors(include_url=False)]
        more = f"; {len(faults) - FAULTS} more" if len(faults) > FAULTS else ""
        raise ToolError("; ".join(faults[:FAULTS]) + more) from None
    except Exception as error:  # a validator of the user's own
        raise ToolError(f"{type(error).__name__}: {_shown(str(error))}") from error


def no_object(given: Any) -> str:
    """What is wrong with arguments that are none."""
    return f"expected its arguments as a JSON object, found {_shown(given)}"


def let_through() -> None:
    """From now on CrewAI hands calls of guarded tools on whose arguments are no object."""
    from crewai.agents.agent_executor import AgentExecutor
    from crewai.tools.tool_usage import ToolUsage

    _wrap(AgentExecutor, "_execute_single_native_tool_call", _native)
    _wrap(ToolUsage, "_original_tool_calling", _in_text)


def _wrap(kind: Any, name: str, around: Callable[..., Any]) -> None:
    original = getattr(kind, name)
    if hasattr(original, "__pilotage__"):
        return

    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return around(functools.partial(original, self), self, *args, **kwargs)

    wrapped.__pilotage__ = True  # type: ignore[attr-defined]
    setattr(kind, name, wrapped)


def _native(original: Callable[..., Any], executor: Any, tool_call: Any) -> Any:
    from crewai.utilities.agent_utils import extract_tool_call_info

    call, name, given = extract_tool_call_info(tool_call) or ("", "", {})
    refuse = _refusal(executor.original_tools or (), name)
    if refuse is None or _is_object(given):
        return original(tool_call)
    return {"call_id": call, "func_name": name, "result": refuse(given), "from_cache": False, "original_tool": None}


def _in_text(original: Callable[..., Any], usage: Any, text: str, raise_error: bool = False) -> Any:
    from crewai.tools.tool_usage import ToolUsageError

    refuse = _refusal([getattr(tool, "_original_tool", None) for tool in usage.tools], usage.action.tool)
    if refuse is None:
        return original(text, raise_error=raise_error)
    try:
        return original(text, raise_error=True)
    except Exception:
        return ToolUsageError(refuse(usage.action.tool_input))


def _refusal(tools: Any, name: str) -> Callable[[Any], str] | None:
    from crewai.utilities.string_utils import sanitize_tool_name

    wanted = sanitize_tool_name(name or "")
    found = next((t for t in tools if t is not None and sanitize_tool_name(t.name) == wanted), None)
    return getattr(found, REFUSE, None)


def _is_object(given: Any) -> bool:
    """As CrewAI reads it, which takes an empty list or a null for no arguments."""
    try:
        read = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return False
    return not read or isinstance(read, Mapping)


def _takes_any(function: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _sentence(fault: Any) -> str:
    """`n: expected a whole number, found "x"`"""
    name = ".".join(map(str, fault["loc"])) or "the arguments"
    if fault["type"] == "missing":
        return f"{name}: it is missing"
    expected = EXPECTED.get(fault["type"].partition("_")[0]) if fault["type"].endswith(("_type", "_parsing")) else None
    if fault["type"] == "int_from_float":
        expected = EXPECTED["int"]
    message = f"expected {expected}" if expected else fault["msg"].replace("Input should be", "expected")
    return f"{name}: {message.removeprefix('Value error, ')}, found {_shown(fault['input'])}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    text = clean(" ".join(text.split()))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
