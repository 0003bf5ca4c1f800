from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pilotage import doctor
from pilotage.errors import ConfigError
from pilotage.model import factory
from pilotage.model.gguf import file
from pilotage.model.gguf.llm import Gguf
from pilotage.settings import Settings

Load = Callable[..., Settings]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_is_installed", lambda: True)


def test_a_path_begins_at_the_project_at_home_or_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert file.path_of("gguf:models/q.gguf", tmp_path) == tmp_path / "models/q.gguf"
    assert file.path_of("gguf:~/q.gguf", tmp_path) == tmp_path / "me/q.gguf"
    assert file.path_of(f"gguf:{tmp_path}/q.gguf", Path("/elsewhere")) == tmp_path / "q.gguf"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("content", "free", "said"),
    [
        (None, 8, "There is no model file"),
        (b"version https://git-lfs", 8, "is no GGUF file"),
        (b"GGUF" + bytes(100), 0.1, "needs about 0.5 GiB of memory, 0.1 GiB are free"),
    ],
)
def test_what_cannot_be_loaded_is_said_before_anything_is_started(
    content: bytes | None, free: float, said: str, load: Load, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(file, "_free_memory", lambda: int(free * file.GIB))
    if content:
        (project / "q.gguf").write_bytes(content)
    settings = load(model__name="gguf:q.gguf")
    with pytest.raises(ConfigError, match=said) as caught:
        factory.check(settings)
    assert caught.value.hint
    report = doctor.examine(settings)
    assert not report["ok"]
    assert any(said in problem["error"] for problem in report["problems"])


def test_a_missing_package_is_named_with_how_it_is_installed(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_is_installed", lambda: False)
    with pytest.raises(ConfigError, match="xllamacpp, which is not installed") as caught:
        factory.check(load(model__name="gguf:q.gguf"))
    assert 'uv sync --extra local, or pip install "pilotage[local]"' in caught.value.hint


@pytest.mark.usefixtures("installed")
def test_the_fault_of_a_fallback_names_its_place(load: Load, project: Path) -> None:
    (project / "q.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=r"model.fallbacks\[0\]: There is no model file"):
        factory.check(load(model__name="gguf:q.gguf", model__fallbacks="[gguf:other.gguf]"))


def test_a_gguf_name_needs_no_key_and_is_no_name_of_openai() -> None:
    for name in ("gguf:q.gguf", "gguf:/models/q.gguf"):
        assert factory.provider_of(name) == "gguf"
        assert factory.full_name(name) == name


def test_the_factory_builds_a_model_that_calls_tools_natively_without_loading_the_file(load: Load) -> None:
    settings = load(model__name="gguf:q.gguf", local__context=4096, model__max_tokens=99)
    built = factory.build("gguf:q.gguf", settings.engine.model, 60, settings)
    assert isinstance(built, Gguf)
    assert built.supports_function_calling()
    assert (built.get_context_window_size(), built._max_tokens) == (4096, 99)


def test_without_settings_nobody_knows_where_a_file_is(load: Load) -> None:
    with pytest.raises(ConfigError, match="needs the project's settings"):
        factory.build("gguf:q.gguf", load().engine.model, 60)
