"""Tools made of a web address: `services` in config/pilotage.yaml, a typed function each.

{name} takes an argument, ${NAME} a value of the environment, which never appears in what comes back. The host is fixed
by the setting. A POST is taken to change something (`side_effects`) and carries an Idempotency-Key. What is not
covered: an API that changes something when it is asked by GET; `policy` decides who may ask.
"""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from json import loads
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from pilotage.errors import ConfigError, ToolError, nearest
from pilotage.guard.fence import clean
from pilotage.spec import ServiceSpec
from pilotage.tools import MARK, Marked, idempotency_key
from pilotage.tools.environment import check_references, fill, hiding, references
from pilotage.tools.fields import Missing, check_path, select

if TYPE_CHECKING:
    from pilotage.web.fetch import Fetcher

ACCEPT = ("application/json", "application/*+json", "text/json", "text/plain")  # raw files come as text/plain
TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
TOKEN = re.compile(r"\$\{(?P<secret>\w*)\}|\{(?P<argument>[A-Za-z_]\w*)\}")
START = re.compile(r"(?:https?://[^/?#]*|\$\{\w*\})", re.IGNORECASE)  # up to the end of the host
LONGEST_ARGUMENT = 2_000  # characters
NOTE = "(note)"


def check_service(name: str, spec: ServiceSpec, environment: Mapping[str, str]) -> None:
    """ConfigError, naming the key, when the tool cannot be made of its setting."""
    _check_names(name, spec)
    _check_address(name, spec)
    if spec.body is not None and spec.method != "POST":
        raise _wrong(name, "body", "a body needs method: POST")
    used = {*_arguments(spec.url), *(found for text in _texts(spec.body) for found in _arguments(text))}
    for found in sorted(used - set(spec.arguments)):
        key = "url" if found in _arguments(spec.url) else "body"
        raise _wrong(name, key, f"unknown placeholder {{{found}}}", nearest(found, spec.arguments or ["(none)"]))
    if unused := next((argument for argument in spec.arguments if argument not in used), None):
        raise _wrong(name, "arguments", f'"{unused}" is used neither in the url nor in the body')
    for header, value in spec.headers.items():
        if _arguments(header) or _arguments(value):
            raise _wrong(name, "headers", f"{header} takes ${{NAME}}, not an argument")
    for path in spec.fields:
        if problem := check_path(path):
            raise _wrong(name, "fields", f'"{path}" {problem}')
    for key in ("url", "headers", "body"):
        check_references(getattr(spec, key), environment, f"services.{name}.{key}")


def service_tool(
    name: str,
    spec: ServiceSpec,
    fetcher: Fetcher,
    allow: Callable[[str], str],
    environment: Mapping[str, str],
) -> Callable[..., dict[str, Any]]:
    """A function with the arguments and the description of the setting, from which CrewAI makes the model's schema."""
    names = {*references(spec.url), *references(spec.headers), *references(spec.body)}
    hide = hiding({found: environment.get(found, "") for found in names})

    def ask(*args: Any, **kwargs: Any) -> dict[str, Any]:
        given = _bind(signature, args, kwargs)
        values = {key: _typed(key, kind, given[key]) for key, kind in spec.arguments.items()}
        url = _address(spec.url, values, environment)
        headers = {key: fill(value, environment) for key, value in spec.headers.items()}
        if key := idempotency_key():
            headers = {"Idempotency-Key": key} | headers
        body = None if spec.body is None else _body(spec.body, values, environment)
        try:
            fetched = fetcher.fetch(
                url, accept=ACCEPT, allow=allow, robots=False, method=spec.method, headers=headers, json=body
            )
            return _answer(name, fetched.body, spec.fields, hide)
        except ToolError as error:
            raise ToolError(hide(str(error))) from None

    parameters = [
        inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=TYPES[kind])
        for argument, kind in spec.arguments.items()
    ]
    signature = inspect.Signature(parameters, return_annotation=dict[str, Any])
    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = spec.description
    ask.__annotations__ = {key: TYPES[kind] for key, kind in spec.arguments.items()} | {"return": dict[str, Any]}
    ask.__signature__ = signature  # type: ignore[attr-defined]
    setattr(ask, MARK, Marked(side_effects=spec.method == "POST" if spec.side_effects is None else spec.side_effects))
    return ask


def _check_names(name: str, spec: ServiceSpec) -> None:
    from pydantic import BaseModel

    if not name.isidentifier() or keyword.iskeyword(name):
        hint = f"rename services.{name} in config/pilotage.yaml"
        raise ConfigError(f'services.{name}: a tool\'s name is letters, digits and "_"', hint=hint)
    for argument in spec.arguments:
        if not argument.isidentifier() or keyword.iskeyword(argument) or argument.startswith("_"):
            raise _wrong(name, "arguments", f'"{argument}" is no name that an argument can have')
        if hasattr(BaseModel, argument) or argument in ("self", "cls"):  # CrewAI makes a model of the arguments
            raise _wrong(name, "arguments", f'"{argument}" is taken by pydantic: choose another name')


def _check_address(name: str, spec: ServiceSpec) -> None:
    start = START.match(spec.url)
    if not start:
        raise _wrong(name, "url", "expected an address that begins with https:// or http://")
    rest = spec.url[start.end() :]
    if _arguments(start[0]) or (rest and rest[0] not in "/?#"):
        raise _wrong(name, "url", "the host is fixed: an argument stands behind the / after it")
    if stray := re.search(r"[{}]", TOKEN.sub("", spec.url)):
        raise _wrong(name, "url", f"a {stray[0]} that belongs to no {{argument}}")


def _bind(signature: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise ToolError(f"{error} (takes: {', '.join(signature.parameters) or 'nothing'})") from None


def _typed(name: str, kind: str, value: Any) -> Any:
    fits = isinstance(value, TYPES[kind]) or (kind == "float" and isinstance(value, int))
    if not fits or (isinstance(value, bool) and kind != "bool"):
        raise ToolError(f'the argument "{name}" must be {kind}, not {type(value).__name__}')
    if isinstance(value, float) and not isfinite(value):
        raise ToolError(f'the argument "{name}" must be a finite number')
    if len(str(value)) > LONGEST_ARGUMENT:
        problem = f'the argument "{name}" has {len(str(value)):,} characters, and {LONGEST_ARGUMENT:,} are allowed'
        raise ToolError(problem)
    return value


def _address(template: str, values: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """The URL. One pass: what an argument or a secret holds is never read as a placeholder."""
    path_ends = min((n for n in (template.find("?"), template.find("#")) if n >= 0), default=len(template))

    def part(match: re.Match[str]) -> str:
        if match["argument"] is None:  # at the start it is the base address, elsewhere a value
            value = environment.get(match["secret"], "")
            return quote(value, safe="") if match.start() else value.rstrip("/")
        text = _written(values[match["argument"]])
        if match.start() < path_ends:
            _check_segment(match["argument"], text)
        return quote(text, safe="")

    url = TOKEN.sub(part, template)
    path = url[: url.find("?")] if "?" in url else url
    if any(_is_dots(segment) for segment in path.split("/")[3:]):
        raise ToolError("the arguments together make a path with . or .. in it")
    return url


def _check_segment(name: str, text: str) -> None:
    """A value in the path is one name in one folder, however it is encoded and whoever decodes it."""
    if not text.strip():
        raise ToolError(f'the argument "{name}" is empty')
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ToolError(f'the argument "{name}" holds control characters')
    for segment in re.split(r"[/\\]", _decoded(text)):
        if _is_dots(segment):
            raise ToolError(f'the argument "{name}" must not lead to another folder')


def _is_dots(segment: str) -> bool:
    return _decoded(segment).split(";")[0].strip() in (".", "..")


def _decoded(text: str) -> str:
    for _ in range(3):
        text = unquote(text)
    return text


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _body(value: Any, values: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    """A text that is exactly {name} becomes the argument with its type; in a longer one its text is put in."""
    if isinstance(value, dict):
        return {key: _body(item, values, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_body(item, values, environment) for item in value]
    if not isinstance(value, str):
        return value
    whole = TOKEN.fullmatch(value)
    if whole and whole["argument"]:
        return values[whole["argument"]]
    return TOKEN.sub(
        lambda m: _written(values[m["argument"]]) if m["argument"] else environment.get(m["secret"], ""), value
    )


def _answer(name: str, body: bytes, fields: list[str], hide: Callable[[str], str]) -> dict[str, Any]:
    try:
        answer = _tidy(loads(body, parse_constant=lambda _name: None), hide)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number of thousands of digits, nested without end
        raise ToolError(f"{name} answered with something that is no JSON") from None
    if not fields:
        return answer if isinstance(answer, dict) else {"answer": answer}
    found = {path: select(answer, path) for path in fields}
    missing = [path for path, value in found.items() if isinstance(value, Missing)]
    values = {path: None if path in missing else value for path, value in found.items()}
    return values | ({NOTE: f"not in the answer: {', '.join(missing)}"} if missing else {})


def _tidy(value: Any, hide: Callable[[str], str]) -> Any:
    """Every text without secrets and without characters that nobody sees; a number that is a secret too."""
    if isinstance(value, dict):
        return {hide(clean(key)): _tidy(item, hide) for key, item in value.items()}
    if isinstance(value, list):
        return [_tidy(item, hide) for item in value]
    if isinstance(value, str):
        return hide(clean(value))
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    return value if hide(text) == text else hide(text)


def _arguments(text: str) -> list[str]:
    return [match["argument"] for match in TOKEN.finditer(text) if match["argument"]]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _wrong(name: str, key: str, problem: str, hint: str = "") -> ConfigError:
    place = f"services.{name}.{key}"
    change = f"change {place} in config/pilotage.yaml"
    return ConfigError(f"{place}: {problem}", hint=f"{hint}; {change}" if hint else change)
