"""search_web on a loopback server that speaks the engines' JSON: the key travels in its header and nowhere else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pilotage.errors import ToolError
from pilotage.spec import WebSpec
from pilotage.tools.websearch import KEYS, available, web_search
from pilotage.web.fetch import Fetched, Fetcher
from tests.support.web import Reply, Server, web

KEY = "k3y-of-the-engine"
ENGINES = {"SERPER_API_KEY": "https://google.serper.dev", "BRAVE_API_KEY": "https://api.search.brave.com"}
PATHS = {"SERPER_API_KEY": "/search", "BRAVE_API_KEY": "/res/v1/web/search"}
LINKS = ["https://example.org/a", "http://example.com/b?x=1"]


def serper(results: list[dict[str, Any]]) -> dict[str, Any]:
    more = {"ads": [{"title": "Buy", "link": "https://ads.example"}], "peopleAlsoAsk": [{"question": "Why?"}]}
    return {"organic": results, "credits": 1, "knowledgeGraph": {"title": "Tea"}, **more}


def brave(results: list[dict[str, Any]]) -> dict[str, Any]:
    as_brave = [{"title": r["title"], "url": r["link"], "description": r.get("snippet", "")} for r in results]
    return {"web": {"results": as_brave}, "faq": {"results": [{"question": "Why?"}]}, "videos": {"results": [{}]}}


ANSWERS = {"SERPER_API_KEY": serper, "BRAVE_API_KEY": brave}


class Diverted(Fetcher):
    """The guarded fetch, with the engines' hosts answered by a loopback server."""

    def __init__(self, server: Server, seconds: float) -> None:
        super().__init__(WebSpec(seconds=seconds, delay=0, redirects=0), private_hosts=[server.host])
        self.base = server.url("")

    def fetch(self, url: str, **options: Any) -> Fetched:
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" in ENGINES.values()
        return super().fetch(url.replace(f"{parts.scheme}://{parts.netloc}", self.base), **options)


def reply(value: Any, status: int = 200) -> Reply:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Reply(status, {"Content-Type": "application/json"}, body)


def search(key: str, answer: Reply, query: str = "tea", limit: int = 8, seconds: float = 3) -> tuple[Any, Any]:
    with web({PATHS[key]: answer, f"{PATHS[key]}?": answer}) as server:
        try:
            found = web_search({key: KEY}, limit, Diverted(server, seconds))(query)
        finally:
            asked = server.requests[0] if server.requests else None
    return found, asked


def refused(key: str, answer: Reply, **options: Any) -> str:
    with pytest.raises(ToolError) as error:
        search(key, answer, **options)
    assert KEY not in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def results(*links: str) -> list[dict[str, Any]]:
    return [{"title": f"Title {n}", "link": link, "snippet": f"About {n}."} for n, link in enumerate(links)]


@pytest.fixture(params=list(KEYS))
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_key_that_is_set_names_the_engine() -> None:
    assert available({}) == ""
    assert available({"SERPER_API_KEY": " "}) == ""
    assert available({"BRAVE_API_KEY": "x"}) == "BRAVE_API_KEY"
    assert available({"BRAVE_API_KEY": "x", "SERPER_API_KEY": "y"}) == "SERPER_API_KEY"


def test_every_engine_is_a_tool_of_crewai_with_that_key() -> None:
    import crewai_tools

    for name, tool in KEYS.items():
        variables = getattr(crewai_tools, tool).model_fields["env_vars"].default_factory()
        assert [variable.name for variable in variables] == [name]


def test_results_come_back_without_ads_and_questions(key: str) -> None:
    found, _asked = search(key, reply(ANSWERS[key](results(*LINKS))))
    assert found == {
        "results": [
            {"title": "Title 0", "link": LINKS[0], "snippet": "About 0."},
            {"title": "Title 1", "link": LINKS[1], "snippet": "About 1."},
        ]
    }


def test_the_key_travels_in_its_header_and_the_query_as_it_is(key: str) -> None:
    _found, asked = search(key, reply(ANSWERS[key]([])), query="  tea & “cake”\u200b\n50%  ", limit=5)
    header = {"SERPER_API_KEY": "x-api-key", "BRAVE_API_KEY": "x-subscription-token"}[key]
    assert [name for name, value in asked.headers.items() if KEY in value] == [header]
    assert KEY not in asked.path + asked.body.decode()
    sent = json.loads(asked.body) if asked.body else {k: v[0] for k, v in parse_qs(urlsplit(asked.path).query).items()}
    assert sent["q"] == "tea & “cake” 50%"
    assert str(sent.get("num") or sent["count"]) == "5"


def test_only_real_links_come_back_and_their_text_is_clean(key: str) -> None:
    links = ["javascript:alert(1)", "ftp://x.org/a", "", "https://", "https://u:p@x.org/", "https://x.org/a b", "https://[x/",
             "data:text/html,x", "https://example.org/ok"]  # fmt: skip
    odd = results(*links)
    odd[-1] |= {"title": "A\u202e <strong>title</strong>\n&amp; more", "snippet": "x\x1b[31m" + "y" * 3000}
    found, _asked = search(key, reply(ANSWERS[key](odd)), limit=20)
    (only,) = found["results"]
    assert only["title"] == "A title & more"
    assert only["link"] == "https://example.org/ok"
    assert "\x1b" not in only["snippet"]
    assert len(only["snippet"]) == 1000


def test_no_more_results_than_asked_for(key: str) -> None:
    many = results(*(f"https://example.org/{n}" for n in range(15)))
    assert len(search(key, reply(ANSWERS[key](many)), limit=4)[0]["results"]) == 4


def test_no_results_are_an_empty_list(key: str) -> None:
    assert search(key, reply(ANSWERS[key]([])))[0] == {"results": []}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "the search failed: the key in {key} was refused"),
        (403, "the search failed: the key in {key} was refused"),
        (429, "the search failed: the quota of {key} is used up, or there were too many searches at once"),
    ],
)
def test_a_refusal_of_the_engine_is_one_sentence(key: str, status: int, sentence: str) -> None:
    assert refused(key, reply({"message": f"no {KEY}"}, status)) == sentence.format(key=key)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'"x"', b'{"organic": 5, "web": 5}', b"[" * 50_000])
def test_an_answer_of_another_shape_is_one_sentence(key: str, body: bytes) -> None:
    assert "the search failed: its answer cannot be read" in refused(key, reply(body))


def test_an_engine_that_is_down_or_drips_ends_in_time(key: str) -> None:
    assert "answered 500" in refused(key, reply({}, 500))
    started = time.monotonic()
    drip = Reply(200, {"Content-Type": "application/json"}, _drip())
    assert "longer than 0.5 seconds" in refused(key, drip, seconds=0.5)
    assert time.monotonic() - started < 5


def test_a_flood_is_cut(key: str) -> None:
    flood = Reply(200, {"Content-Type": "application/json"}, (b'"' + b"x" * 99_999 for _ in range(200)))
    assert "5,000,000 bytes" in refused(key, flood)


@pytest.mark.parametrize("query", ["", " \u200b ", "x" * 401])
def test_a_query_that_no_engine_takes_is_not_sent(query: str) -> None:
    assert "1 to 400 characters" in refused("SERPER_API_KEY", reply({}), query=query)


def test_without_a_key_the_sentence_names_them() -> None:
    with pytest.raises(ToolError, match="set SERPER_API_KEY or BRAVE_API_KEY"):
        web_search({})("tea")


def _drip() -> Iterator[bytes]:
    for _ in range(20):
        yield b" "
        time.sleep(0.1)
