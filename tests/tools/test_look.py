"""One page without a run: what may be named, what is said of a profile that does not fit, what a refusal hints at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.errors import ConfigError, ToolError
from pilotage.settings import Settings
from pilotage.spec import EngineSpec
from pilotage.tools.look import look
from tests.support.web import html, redirect, web

Made = Callable[..., Settings]
TEXT = "The tea room at the harbour opened in 1987 and has eleven tables."


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.chdir(tmp_path)

    def settings(private: tuple[str, ...] = (), **web_spec: Any) -> Settings:
        values = {"extractor": "bs4", "delay": 0, "robots": False} | web_spec
        spec = EngineSpec.model_validate({"web": values, "policy": {"allow_private_hosts": list(private)}})
        return Settings(tmp_path, spec, {}, {}, {})

    return settings


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("example.org", "https://example.org"),
        ("docs.example.org/3/page.html", "https://docs.example.org/3/page.html"),
        ("example.org:8080/x", "https://example.org:8080/x"),
        ("127.0.0.1:8951/tea", "http://127.0.0.1:8951/tea"),
        ("localhost:8000", "http://localhost:8000"),
    ],
)
def test_an_address_without_its_scheme_is_told_how_to_write_it(make: Made, target: str, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look(target, make())
    assert str(caught.value) == f"{target} is no file"
    assert caught.value.hint == f"for an address write {address}"


@pytest.mark.parametrize("target", ["absent.html", "absent.html.gz", "absent.pdf", "notes/page", "absent", "../a.txt"])
def test_a_file_that_is_not_there_is_no_address(make: Made, target: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look(target, make())
    assert str(caught.value) == f"{target} is no file"
    assert caught.value.hint.startswith("name an .html or .html.gz file")


@pytest.mark.parametrize("target", ["", "  "])
def test_nothing_at_all_is_a_wrong_command(make: Made, target: str) -> None:
    with pytest.raises(ConfigError, match=r"^no address and no file is named$"):
        look(target, make())


def test_a_binary_file_is_refused(make: Made, tmp_path: Path) -> None:
    (tmp_path / "file.pdf").write_bytes(b"%PDF-1.7\n\0\1\2")
    with pytest.raises(ToolError, match=r"^file\.pdf is no HTML$") as caught:
        look("file.pdf", make())
    assert caught.value.hint == "put it into knowledge/"


def test_a_profile_that_matches_nothing_is_noted(make: Made) -> None:
    with web({"/tea": html(f"<h1>Tea</h1><p>{TEXT}</p>")}) as server:
        seen = look(server.url("/tea"), make((server.host,), sites={"127.0.0.1": {"content": ".nothere"}}))
    assert TEXT in seen["text"]
    assert seen["notes"] == ['web.sites.127.0.0.1.content ".nothere" matches nothing here']


def test_a_refusal_hints_at_the_setting_that_opens_what_was_refused(make: Made) -> None:
    with web({"/away": redirect("http://example.org/x")}) as server:
        with pytest.raises(ToolError, match="is not at a public address") as private:
            look(server.url("/away"), make())
        with pytest.raises(ToolError, match="is no host that you named") as elsewhere:
            look(server.url("/away"), make((server.host,)))
    assert f'"{server.host}" to policy.allow_private_hosts' in private.value.hint
    assert 'add "example.org" to policy.tools.read_page.domains' in elsewhere.value.hint
    assert "(policy.tools.read_page.domains names no other)" in str(elsewhere.value)
