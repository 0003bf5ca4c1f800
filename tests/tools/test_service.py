"""http_json: a tool of six lines of settings, asked on loopback: nothing leads elsewhere, no secret comes back."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from pilotage.errors import ConfigError, ToolError
from pilotage.spec import ServiceSpec, WebSpec
from pilotage.tools.fields import MISSING, check_path, select
from pilotage.tools.service import check_service, service_tool
from pilotage.web.fetch import Fetcher
from tests.support.web import Asked, Reply, Server, web

KEY = "s3cr3t/va+lue=1"
ENVIRONMENT = {"RATES_KEY": KEY}
RATES = {"date": "2024-02-03", "rates": [{"code": "EUR", "value": 1.08}, {"code": "USD", "value": None}], "none": []}


def reply(value: Any, status: int = 200, kind: str = "application/json") -> Reply:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(status, {"Content-Type": kind}, body)


def echo(asked: Asked) -> Reply:
    sent = json.loads(asked.body) if asked.body else None
    return reply({"path": asked.path, "method": asked.method, "headers": asked.headers, "sent": sent})


class Everywhere(dict[str, Any]):
    """One reply for every path."""

    def __init__(self, answer: Reply | Callable[[Asked], Reply]) -> None:
        super().__init__()
        self.answer = answer

    def get(self, _path: str, _default: Any = None) -> Any:
        return self.answer

    def __contains__(self, _path: object) -> bool:
        return True

    def __missing__(self, _path: str) -> Any:
        return self.answer


def spec(url: str = "https://api.example.org/x", **rest: Any) -> ServiceSpec:
    return ServiceSpec(**{"description": "Ask for it.", "url": url} | rest)


def tool(server: Server, path: str, allow: Callable[[str], str] = lambda _: "", **rest: Any) -> Callable[..., Any]:
    made = spec(server.url(path), **rest)
    check_service("rates", made, ENVIRONMENT)
    fetcher = Fetcher(WebSpec(seconds=3, delay=0, redirects=2), private_hosts=[server.host])
    return service_tool("rates", made, fetcher, allow, ENVIRONMENT)


def refused(ask: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ToolError) as error:
        ask(**arguments)
    assert "\n" not in str(error.value)
    assert KEY not in str(error.value)
    assert "s3cr3t" not in str(error.value)
    return str(error.value)


# --- the function


def test_the_function_has_the_arguments_and_the_description_of_its_setting() -> None:
    kinds = {"city": "str", "days": "int", "from_hour": "float", "rain": "bool"}
    url = "https://api.example.org/{city}/{days}?h={from_hour}&r={rain}"
    ask = service_tool("weather", spec(url, arguments=kinds), Fetcher(WebSpec()), lambda _: "", {})
    assert (ask.__name__, ask.__doc__) == ("weather", "Ask for it.")
    assert (
        str(inspect.signature(ask)) == "(city: str, days: int, from_hour: float, rain: bool) -> dict[str, typing.Any]"
    )
    assert inspect.get_annotations(ask)["days"] is int


def test_crewai_makes_the_schema_of_it() -> None:
    from crewai.tools import tool as crewai_tool

    made = spec("https://api.example.org/{city}?days={days}", arguments={"city": "str", "days": "int"})
    built = crewai_tool("weather")(service_tool("weather", made, Fetcher(WebSpec()), lambda _: "", {}))
    properties = built.args_schema.model_json_schema()["properties"]
    assert {name: value["type"] for name, value in properties.items()} == {"city": "string", "days": "integer"}
    assert "Ask for it." in built.description


def test_arguments_of_another_type_or_number_are_named() -> None:
    made = spec("https://api.example.org/{a}/{b}", arguments={"a": "int", "b": "float"})
    ask = service_tool("rates", made, Fetcher(WebSpec()), lambda _: "", {})
    assert refused(ask, a="1", b=1.5) == 'the argument "a" must be int, not str'
    assert refused(ask, a=True, b=1.5) == 'the argument "a" must be int, not bool'
    assert "finite" in refused(ask, a=1, b=float("nan"))
    assert "missing a required argument: 'b'" in refused(ask, a=1)
    assert "unexpected keyword argument 'c'" in refused(ask, a=1, b=2, c=3)


# --- what is sent


def test_arguments_are_quoted_in_the_path_and_in_the_query() -> None:
    with web(Everywhere(echo)) as server:
        ask = tool(server, "/v1/{city}.json?q={text}&n={n}&on={on}", arguments={
            "city": "str", "text": "str", "n": "int", "on": "bool"})  # fmt: skip
        answer = ask(city="São Paulo/Brasil", text="a&b=c#d ${RATES_KEY} {n}", n=-3, on=True)
    assert answer["path"] == (
        "/v1/S%C3%A3o%20Paulo%2FBrasil.json?q=a%26b%3Dc%23d%20%24%7BRATES_KEY%7D%20%7Bn%7D&n=-3&on=true"
    )
    assert answer["method"] == "GET"


@pytest.mark.parametrize(
    "value",
    ["..", ".", "../admin", "a/../../admin", "..\\admin", "%2e%2e", "%2e%2e%2fadmin", "%252e%252e/x", "a/..;x/b", "",
     "  ", "x\ny", "x\x00", "a/.. /b", "x" * 2001],
)  # fmt: skip
def test_a_value_never_leads_to_another_folder(value: str) -> None:
    with web(Everywhere(echo)) as server:
        refused(tool(server, "/v1/public/{name}", arguments={"name": "str"}), name=value)
        assert not server.requests


def test_two_values_together_make_no_dots() -> None:
    with web(Everywhere(echo)) as server:
        ask = tool(server, "/v1/{a}{b}/x", arguments={"a": "str", "b": "str"})
        refused(ask, a=".", b=".")
        assert "path with . or .. in it" in refused(tool(server, "/v1/.{a}/x", arguments={"a": "str"}), a=";x")
        assert not server.requests


def test_a_body_has_the_types_of_its_arguments() -> None:
    body = {
        "n": "{n}",
        "on": "{on}",
        "text": "for {who}, {n} times",
        "deep": [{"who": "{who}"}, 7, None],
        "k": "${RATES_KEY}",
    }
    with web(Everywhere(echo)) as server:
        ask = tool(server, "/post", method="POST", body=body, arguments={"n": "int", "on": "bool", "who": "str"})
        ask(n=3, on=False, who="${RATES_KEY} {n}")
        sent = json.loads(server.requests[0].body)
    assert sent == {
        "n": 3, "on": False, "text": "for ${RATES_KEY} {n}, 3 times", "deep": [{"who": "${RATES_KEY} {n}"}, 7, None],
        "k": KEY,
    }  # fmt: skip
    assert server.requests[0].headers["content-type"] == "application/json"


def test_secrets_are_sent_and_never_come_back() -> None:
    with web(Everywhere(echo)) as server:
        ask = tool(server, "/x?key=${RATES_KEY}", headers={"Authorization": "Bearer ${RATES_KEY}"})
        answer = ask()
        asked = server.requests[0]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.path == "/x?key=s3cr3t%2Fva%2Blue%3D1"
    assert "s3cr3t" not in json.dumps(answer)
    assert answer["path"] == "/x?key=[redacted]"
    assert answer["headers"]["authorization"] == "Bearer [redacted]"


def test_a_secret_that_comes_back_as_a_key_or_a_number_is_hidden() -> None:
    with web({"/x": reply({"12345678": 12345678, "y": [12345678.0, "a12345678b", 5]})}) as server:
        made = spec(server.url("/x"), headers={"X-Key": "${PIN}"})
        fetcher = Fetcher(WebSpec(), private_hosts=[server.host])
        answer = service_tool("rates", made, fetcher, lambda _: "", {"PIN": "12345678"})()
    assert answer == {"[redacted]": "[redacted]", "y": ["[redacted].0", "a[redacted]b", 5]}


def test_the_policy_is_asked() -> None:
    with web(Everywhere(echo)) as server:
        assert "rates are closed" in refused(tool(server, "/x", allow=lambda _url: "rates are closed"))
        assert not server.requests


def test_a_secret_does_not_follow_a_redirect_to_another_host() -> None:
    with web(Everywhere(echo)) as other, web({"/x": Reply(302, {"Location": other.url("/y", "localhost")})}) as server:
        made = spec(server.url("/x"), headers={"X-Key": "${RATES_KEY}"})
        fetcher = Fetcher(WebSpec(delay=0), private_hosts=[server.host, f"localhost:{other.port}"])
        service_tool("rates", made, fetcher, lambda _: "", ENVIRONMENT)()
        assert server.requests[0].headers["x-key"] == KEY
        assert "x-key" not in other.requests[0].headers


# --- what comes back


def test_fields_choose_what_is_shown() -> None:
    with web({"/x": reply(RATES)}) as server:
        ask = tool(server, "/x", fields=["date", "rates.*.value", "rates.0.code", "rates[1].code", "none.*.x"])
        assert ask() == {
            "date": "2024-02-03", "rates.*.value": [1.08, None], "rates.0.code": "EUR", "rates[1].code": "USD",
            "none.*.x": [],
        }  # fmt: skip
        assert tool(server, "/x")() == RATES


def test_a_field_that_is_not_there_is_null_and_noted() -> None:
    with web({"/x": reply(RATES)}) as server:
        answer = tool(server, "/x", fields=["date", "dote", "rates.*.values", "rates.9.code"])()
    assert answer == {
        "date": "2024-02-03", "dote": None, "rates.*.values": None, "rates.9.code": None,
        "(note)": "not in the answer: dote, rates.*.values, rates.9.code",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (reply({"error": "s3cr3t/va+lue=1 is wrong"}, 401), "answered 401"),
        (reply({"error": "down"}, 500), "answered 500"),
        (reply(b"<html>no</html>", kind="text/html"), "sends text/html"),
        (reply(b'{"a": '), "something that is no JSON"),
        (reply(b""), "something that is no JSON"),
        (reply(b"[" * 100_000), "something that is no JSON"),
        (reply(b'{"a": ' + b"9" * 10_000 + b"}"), "something that is no JSON"),
        (reply(b"plain words", kind="text/plain"), "something that is no JSON"),
    ],
)
def test_what_is_no_answer_is_one_sentence(answer: Reply, sentence: str) -> None:
    with web({"/x": answer}) as server:
        said = refused(tool(server, "/x", headers={"X-Key": "${RATES_KEY}"}))
    assert sentence in said
    assert "down" not in said
    assert "wrong" not in said


def test_a_refused_address_hides_the_secret_in_it() -> None:
    with web({}) as server:
        said = refused(tool(server, "/x?key=${RATES_KEY}"))
    assert "answered 404" in said
    assert "?key=[redacted]" in said


def test_other_json_than_objects_and_odd_values_are_kept_safe() -> None:
    with web(
        {"/list": reply([1, 2]), "/odd": reply(b'\xef\xbb\xbf{"a": NaN, "b": "x\\u200b\\u202ey", "c": 1e3}')}
    ) as server:
        assert tool(server, "/list")() == {"answer": [1, 2]}
        assert tool(server, "/list", fields=["[1]"])() == {"[1]": 2}
        assert tool(server, "/odd")() == {"a": None, "b": "xy", "c": 1000.0}


# --- what a setting must say


@pytest.mark.parametrize(
    ("name", "rest", "problem"),
    [
        ("rates", {"url": "https://x.org/{day}"}, "services.rates.url: unknown placeholder {day}"),
        ("rates", {"arguments": {"day": "str"}}, 'services.rates.arguments: "day" is used neither'),
        ("rates", {"url": "https://{day}/x", "arguments": {"day": "str"}}, "services.rates.url: the host is fixed"),
        ("rates", {"url": "https://x.org{day}", "arguments": {"day": "str"}}, "services.rates.url: the host is fixed"),
        (
            "rates",
            {"url": "https://x.org:{day}/", "arguments": {"day": "str"}},
            "services.rates.url: the host is fixed",
        ),
        (
            "rates",
            {"url": "https://u:{day}@x.org/", "arguments": {"day": "str"}},
            "services.rates.url: the host is fixed",
        ),
        ("rates", {"url": "${BASE}{day}", "arguments": {"day": "str"}}, "services.rates.url: the host is fixed"),
        ("rates", {"url": "{day}://x.org/", "arguments": {"day": "str"}}, "begins with https://"),
        ("rates", {"url": "ftp://x.org/"}, "begins with https://"),
        ("rates", {"url": "https://x.org/{"}, "services.rates.url: a { that belongs to no"),
        ("rates", {"fields": ["a..b"]}, 'services.rates.fields: "a..b" is no path'),
        ("rates", {"fields": ["a[x]"]}, "services.rates.fields"),
        ("rates", {"body": {"a": 1}}, "services.rates.body: a body needs method: POST"),
        ("rates", {"method": "POST", "body": {"a": ["{day}"]}}, "services.rates.body: unknown placeholder {day}"),
        (
            "rates",
            {"url": "https://x.org/{d}", "arguments": {"d": "str"}, "headers": {"X": "{d}"}},
            "services.rates.headers",
        ),
        ("rates", {"headers": {"X": "${NOT_SET}"}}, "services.rates.headers needs NOT_SET, which is not set"),
        ("rates", {"url": "https://x.org/?k=${NOT_SET}"}, "services.rates.url needs NOT_SET, which is not set"),
        ("my rates", {}, "services.my rates: "),
        ("import", {}, "services.import: "),
        ("rates", {"url": "https://x.org/{copy}", "arguments": {"copy": "str"}}, '"copy" is taken'),
        ("rates", {"url": "https://x.org/{_a}", "arguments": {"_a": "str"}}, '"_a" is no name'),
        ("rates", {"url": "https://x.org/{class}", "arguments": {"class": "str"}}, '"class" is no name'),
    ],
)
def test_a_setting_that_makes_no_tool_is_named(name: str, rest: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_service(name, spec(**rest), {"BASE": "https://x.org"})
    assert problem in str(error.value)
    assert "config/pilotage.yaml" in error.value.hint or ".env" in error.value.hint


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(ConfigError) as error:
        check_service("rates", spec("https://x.org/{citty}?c={city}", arguments={"city": "str"}), {})
    assert 'did you mean "city"?' in error.value.hint


def test_the_base_address_may_come_from_the_environment() -> None:
    with web({"/v1/x": reply({"ok": 1})}) as server:
        made = spec("${BASE}/v1/{name}", arguments={"name": "str"})
        environment = {"BASE": server.url("/")}
        check_service("rates", made, environment)
        fetcher = Fetcher(WebSpec(), private_hosts=[server.host])
        assert service_tool("rates", made, fetcher, lambda _: "", environment)(name="x") == {"ok": 1}


# --- paths into JSON


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": {"b": 1}}, "a.b", 1),
        ({"a": [{"b": 1}, {"b": 2}]}, "a.*.b", [1, 2]),
        ({"a": [{"b": 1}, {"c": 2}]}, "a.*.b", [1, None]),
        ({"a": {"x": {"b": 1}, "y": {"b": 2}}}, "a.*.b", [1, 2]),
        ({"a": [[1, 2], [3]]}, "a.*.*", [1, 2, 3]),
        ({"a": [[1, 2], [3]]}, "a.*[0]", [1, 3]),
        ([[1, 2], [3]], "[0][1]", 2),
        ([{"a": 1}], "*.a", [1]),
        ({"a": {"0": "key"}}, "a.0", "key"),
        ({"a": None}, "a", None),
        ({"a": None}, "a.b", MISSING),
        ({"a": []}, "a.*.b", []),
        ({"a": 5}, "a.*.b", MISSING),
        ({"a": "text"}, "a.0", MISSING),
        ({"a": [1]}, "a.-1", MISSING),
        ({"a b": {"c-d": 1}}, "a b.c-d", 1),
    ],
)
def test_a_path_finds_what_stands_there(value: Any, path: str, found: Any) -> None:
    assert check_path(path) == ""
    assert select(value, path) == found or (found is MISSING and select(value, path) is MISSING)


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a*", "**", "a.[0]b", " "])
def test_what_is_no_path_is_refused(path: str) -> None:
    assert check_path(path)
