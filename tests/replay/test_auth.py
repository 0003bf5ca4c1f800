"""Who may read the pages: with a token by cookie, bearer or ?token=, without one from this machine only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from pilotage.collector.tokens import Tokens
from pilotage.errors import ConfigError
from pilotage.link import is_loopback
from pilotage.replay.auth import WRONG_WAITS, check_exposure, cookie_of, own_path, read_tokens
from pilotage.settings import Settings
from tests.support.pages import serving

READ, WRITE = "read-token-of-the-test", "write-token-of-the-test"
TOKENS = Tokens(read=READ, write=WRITE)
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def locked(demo: Settings) -> Iterator[str]:
    with serving(demo, TOKENS) as url:
        yield url


def test_without_a_token_a_browser_is_sent_to_the_form_and_a_program_gets_401(locked: str) -> None:
    answer = requests.get(f"{locked}/statistics?range=day", headers=HTML, allow_redirects=False, timeout=5)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=%2Fstatistics%3Frange%3Dday"
    assert requests.get(f"{locked}/", timeout=5).status_code == 401
    assert requests.get(f"{locked}/events/sessions", timeout=5).status_code == 401


@pytest.mark.parametrize("path", ["/", "/sessions?trace_id=aa", "/sessions/last", "/statistics", "/alerts", "/nothing"])
def test_no_page_is_open(locked: str, path: str) -> None:
    assert requests.get(locked + path, timeout=5).status_code == 401


def test_the_form_gives_a_cookie_that_is_not_the_token_and_leads_back(locked: str) -> None:
    with requests.Session() as session:
        answer = session.post(
            f"{locked}/login", {"token": READ, "next": "/statistics"}, allow_redirects=False, timeout=5
        )
        assert (answer.status_code, answer.headers["Location"]) == (303, "/statistics")
        said = answer.headers["Set-Cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert READ not in answer.headers["Set-Cookie"]
        assert session.get(f"{locked}/statistics", timeout=5).status_code == 200
        session.post(f"{locked}/logout", timeout=5)
        assert session.get(f"{locked}/statistics", timeout=5).status_code == 401


def test_a_wrong_token_waits_and_is_asked_again(locked: str) -> None:
    answer = requests.post(f"{locked}/login", {"token": "wrong", "next": "//evil.example"}, timeout=5)
    assert answer.status_code == 403
    assert answer.elapsed.total_seconds() >= WRONG_WAITS
    assert "That is not the token" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert "evil" not in answer.text


def test_an_endless_form_is_not_read(locked: str) -> None:
    assert requests.post(f"{locked}/login", {"token": READ, "x": "x" * 10_000}, timeout=5).status_code == 403


def test_a_bearer_reads_with_the_read_token_only(locked: str) -> None:
    def status(token: str) -> int:
        return requests.get(f"{locked}/", headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code

    assert [status(READ), status(WRITE), status(""), status("réad")] == [200, 401, 401, 401]


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_it(locked: str) -> None:
    with requests.Session() as session:
        answer = session.get(f"{locked}/statistics?range=day&token={READ}", timeout=5)
        assert answer.url == f"{locked}/statistics?range=day"
        assert answer.status_code == 200
    wrong = requests.get(f"{locked}/?token={WRITE}", timeout=5)
    assert wrong.url == f"{locked}/login?wrong=1"


def test_either_token_may_record_and_no_other(locked: str) -> None:
    def status(key: str) -> int:
        return requests.post(f"{locked}/v3/auth/token", json={"api_key": key}, timeout=5).status_code

    assert [status(READ), status(WRITE), status("neither")] == [200, 200, 401]
    assert requests.get(f"{locked}/healthz", timeout=5).json()["ok"] is True


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:80", 200), ("localhost", 200), ("[::1]:8484", 200), ("evil.example", 421),
     ("127.0.0.1.evil.example", 421), ("", 421)],
)  # fmt: skip
def test_an_open_server_answers_to_loopback_names_only(url: str, host: str, status: int) -> None:
    assert requests.get(f"{url}/", headers={"Host": host}, timeout=5).status_code == status


def test_a_server_with_a_token_answers_to_any_name(locked: str) -> None:
    headers = {"Host": "pilotage.example", "Authorization": f"Bearer {READ}"}
    assert requests.get(f"{locked}/", headers=headers, timeout=5).status_code == 200


def test_every_answer_forbids_what_the_pages_do_not_need(url: str) -> None:
    for path in ("/", "/static/base.css", "/nothing"):
        headers = requests.get(url + path, timeout=5).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "server" not in headers


def test_files_beside_the_static_ones_are_not_served(url: str) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/"):
        assert requests.get(url + path, timeout=5).status_code == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_are_let_in_only_with_a_read_token(demo: Settings, host: str) -> None:
    for tokens in (Tokens(), Tokens(write=WRITE)):
        with pytest.raises(ConfigError, match=r"replay.token_env") as raised:
            check_exposure(host, tokens, demo)
        assert "REPLAY_TOKEN=" in raised.value.hint
        assert ".env" in raised.value.hint
    check_exposure(host, TOKENS, demo)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_needs_no_token(demo: Settings, host: str) -> None:
    assert is_loopback(host)
    check_exposure(host, Tokens(), demo)


def test_tokens_come_from_the_variables_that_the_settings_name(demo: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLAY_TOKEN", f" {READ} ")
    monkeypatch.setenv("COLLECTOR_TOKEN", "")
    assert read_tokens(demo) == Tokens(read=READ)


@pytest.mark.parametrize(
    ("wanted", "to"),
    [("/statistics?range=day", "/statistics?range=day"), ("//evil.example", "/"), ("https://evil.example", "/"),
     ("/\\evil.example", "/"), ("/\tevil", "/"), ("javascript:alert(1)", "/"), ("", "/"), ("///evil.example", "/")],
)  # fmt: skip
def test_no_redirect_leads_to_another_host(wanted: str, to: str) -> None:
    assert own_path(wanted) == to


def test_another_token_is_another_cookie() -> None:
    assert cookie_of(Tokens(read="a"))[0] != cookie_of(Tokens(read="b"))[0]
