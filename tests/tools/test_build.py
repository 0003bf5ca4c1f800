"""From names to tools: what is wrong with them is said before a run, and what the model is told of each tool."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilotage.errors import ConfigError
from pilotage.run import Runner
from pilotage.settings import Settings, load
from pilotage.tools import build
from pilotage.tools.builtin import NAMES

Edit = Callable[[Any], Any]
TOOLS = '''
from crewai.tools import BaseTool
from pilotage import tool

@tool
def shout(text: str, times: int = 1) -> str:
    """Say it louder.

    As often as you like.
    """
    return text.upper() * times

class Reverse(BaseTool):
    name: str = "reverse"
    description: str = "Turn a text round."

    def _run(self, text: str) -> str:
        return text[::-1]

reverse = Reverse()
'''
RATES = {
    "description": "The rate of a currency on a day.",
    "url": "https://rates.example/{base}?day={day}&amount={amount}&exact={exact}",
    "arguments": {"base": "str", "day": "int", "amount": "float", "exact": "bool"},
}
DATA = {"output_pydantic": "Data", "checks": ["data"]}
MODELS = """
from pydantic import BaseModel
from pilotage.checks.results import Explanation

class Price(BaseModel):
    price: float

class Report(Explanation):
    title: str

number = 5
"""


class Project:
    """The project's configuration, to be changed and read."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def change(self, file: str, edit: Edit) -> None:
        path = self.root / "config" / f"{file}.yaml"
        tree = yaml.safe_load(path.read_text("utf-8"))
        edit(tree)
        path.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), "utf-8")

    def engine(self, **keys: Any) -> None:
        self.change("pilotage", lambda tree: tree.update(keys))

    def give(self, agent: str, *tools: str) -> None:
        self.change("agents", lambda tree: tree[agent].update(tools=[*tree[agent].get("tools", []), *tools]))

    def check(self) -> Settings:
        settings = load(self.root)
        build.check_tools(settings, build.user_tools(settings))
        return settings

    def refused(self) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            self.check()
        assert "\n" not in str(caught.value)
        assert caught.value.hint
        return caught.value


@pytest.fixture
def mine(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project with a module of tools and one of models."""
    (tmp_path / "built_tools.py").write_text(TOOLS, "utf-8")
    (tmp_path / "built_models.py").write_text(MODELS, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    made = Project(project)
    made.engine(tools="built_tools")
    yield made
    for name in ("built_tools", "built_models"):
        sys.modules.pop(name, None)


# --- what is wrong is said before a run


def test_the_template_has_nothing_wrong(mine: Project) -> None:
    mine.check()


def test_a_tool_that_nobody_knows_is_named_with_its_line_and_the_nearest(mine: Project) -> None:
    mine.give("researcher", "serch_knowledge")
    error = mine.refused()
    assert 'agent "researcher" names the tool "serch_knowledge", which does not exist' in str(error)
    assert str(error).startswith("config/agents.yaml:")
    assert error.hint == 'did you mean "search_knowledge"?'


@pytest.mark.parametrize(
    ("policy", "said", "hint"),
    [
        ({"agents": {"reseacher": []}}, 'policy.agents: there is no "reseacher"', 'did you mean "researcher"?'),
        ({"agents": {"researcher": ["read_pages"]}}, 'policy.agents.researcher: there is no "read_pages"', "read_page"),
        ({"tools": {"query_bd": {}}}, 'policy.tools: there is no "query_bd"', 'did you mean "query_db"?'),
        ({"tools": {"shuot": {"calls": 1}}}, 'policy.tools: there is no "shuot"', 'did you mean "shout"?'),
        ({"tools": {"read_page": {"isolate": True}}}, "policy.tools.read_page.isolate", "remove isolate"),
    ],
)
def test_a_rule_that_nobody_could_keep_is_refused(mine: Project, policy: Any, said: str, hint: str) -> None:
    mine.engine(policy=policy)
    error = mine.refused()
    assert said in str(error)
    assert hint in error.hint


def test_a_rule_for_a_tool_of_ones_own_is_kept(mine: Project) -> None:
    mine.engine(
        policy={"tools": {"shout": {"isolate": True}, "reverse": {"calls": 2}}, "agents": {"verifier": ["shout"]}}
    )
    mine.check()


@pytest.mark.parametrize("name", [*NAMES, "shout", "reverse"])
def test_a_service_may_not_be_named_like_a_tool(mine: Project, name: str) -> None:
    mine.engine(services={name: RATES})
    assert str(mine.refused()) == f"services.{name}: a tool of that name exists"


def test_what_is_wrong_with_a_service_is_found(mine: Project) -> None:
    mine.engine(services={"rates": RATES | {"url": "https://rates.example/{bass}"}})
    assert "services.rates.url: unknown placeholder {bass}" in str(mine.refused())


def test_query_db_needs_a_database(mine: Project) -> None:
    mine.give("researcher", "query_db")
    assert "there is no database" in str(mine.refused())


def test_the_file_of_a_database_must_be_there(mine: Project) -> None:
    mine.give("researcher", "query_db")
    mine.engine(databases={"shop": {"url": "sqlite:///data/shop.sqlite"}})
    error = mine.refused()
    assert str(error).startswith("databases.shop.url: ")
    assert "data/shop.sqlite" in str(error)


def test_a_selector_that_is_no_css_is_refused(mine: Project) -> None:
    mine.engine(web={"sites": {"example.org": {"content": "#story >"}}})
    error = mine.refused()
    assert "is no CSS selector (web.sites.example.org.content)" in str(error)


@pytest.mark.parametrize(
    ("task", "agent", "needs"), [("research", "researcher", "search_knowledge"), ("verify", "verifier", "read_source")]
)
def test_a_check_that_its_agent_can_never_pass_is_refused(mine: Project, task: str, agent: str, needs: str) -> None:
    mine.change("agents", lambda tree: tree[agent].update(tools=["shout"]))
    error = mine.refused()
    assert f'task "{task}" checks' in str(error)
    assert f'its agent "{agent}" has no {needs}' in str(error)


# --- the user's own tools


OWN = '''
from __future__ import annotations
from typing import Annotated, Any, Literal
from pydantic import BaseModel, Field
from pilotage import tool

class Place(BaseModel):
    name: str

@tool
def fine(
    a, place: Place, kind: Literal["x", "y"] = "x", many: Annotated[list[int], Field(max_length=3)] = [],
    *rest: open, **more: open,
) -> open:
    """Fine."""

'''


@pytest.fixture
def own(mine: Project, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """`own(source)` puts a tool into a module of the project, which the researcher has under the name bh."""
    (mine.root / "src").mkdir()
    sys.path.insert(0, str(mine.root / "src"))

    def write(source: str, name: str = "bh") -> None:
        (mine.root / "src" / "own_tools.py").write_text(OWN + source, "utf-8")
        mine.engine(tools="own_tools")
        mine.give("researcher", "fine", name)

    yield write
    sys.path.remove(str(mine.root / "src"))
    sys.modules.pop("own_tools", None)


@pytest.mark.parametrize(
    "parameter", ["url: open", "url: Nope", "url: 'Nope'", "_url: str", "url: list[Nope]", "x: int, url: object()"]
)
def test_a_type_that_cannot_be_read_is_said_with_the_line_of_the_tool(mine: Project, own: Any, parameter: str) -> None:
    own(f'@tool\ndef bh({parameter}) -> str:\n    """Broken."""\n')
    name = parameter.rpartition(", ")[2].partition(":")[0]
    what = "name" if name.startswith("_") else "type"
    assert str(mine.refused()) == f'src/own_tools.py:17: the {what} of "{name}" of the tool bh cannot be read'


def test_a_tool_that_no_agent_has_may_have_any_type(mine: Project, own: Any) -> None:
    own('@tool\ndef bh() -> str:\n    """Fine."""\n\n@tool\ndef other(url: open) -> str:\n    """Not asked for."""\n')
    mine.check()
    schema = tools_of(mine, "researcher")["fine"].args_schema.model_json_schema()
    assert set(schema["properties"]) == {"a", "place", "kind", "many"}
    assert schema["properties"]["kind"]["enum"] == ["x", "y"]


@pytest.mark.parametrize("timeout", ["'5'", "-1", "0", "True"])
def test_a_timeout_that_is_none_is_said_with_the_line_of_the_tool(mine: Project, own: Any, timeout: str) -> None:
    own(f'@tool(timeout={timeout})\ndef bh() -> str:\n    """Slow."""\n')
    said = f"src/own_tools.py:17: the tool bh has a timeout of {timeout} against seconds above 0"
    assert str(mine.refused()) == said


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_may_not_be_named_like_a_built_in_one(mine: Project, own: Any, name: str) -> None:
    own(f'@tool\ndef {name}() -> str:\n    """Mine."""\n', "fine")
    error = mine.refused()
    assert str(error) == f"src/own_tools.py:17: the tool {name} is named like the built-in tool {name}"
    assert error.hint == "rename it"


def test_nor_may_a_tool_object(mine: Project, own: Any) -> None:
    own('from crewai.tools import tool as crew\n@crew("Read Page")\ndef mine() -> str:\n    """Mine."""\n', "fine")
    assert str(mine.refused()).endswith(": the tool Read Page is named like the built-in tool read_page")


# --- hosts and folders of the policy


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("x.org/docs", 'write "x.org"; paths are not judged'),
        ("x.org/", 'write "x.org"; paths are not judged'),
        ("https://x.org", 'write "x.org"; paths are not judged'),
        ("https://x.org/", 'write "x.org"; paths are not judged'),
        ("x.org?a=1", 'write "x.org"; paths are not judged'),
        ("x.*", 'write "example.org" or'), ("*x.org", 'write "example.org" or'), ("a.*.org", 'write "example.org" or'),
        ("*.*", 'write "example.org" or'), ("*.*.x.org", 'write "example.org" or'),
        ("x.org:http", 'write "example.org" or'), ("x.org:99999", 'write "example.org" or'),
        ("x.org:", 'write "x.org"'), ("me@x.org", 'write "example.org" or'), ("two words", 'write "example.org" or'),
        ("*.", 'write "example.org" or'),
    ],
)  # fmt: skip
def test_a_domain_that_is_no_host_is_refused(mine: Project, entry: str, hint: str) -> None:
    mine.engine(policy={"tools": {"read_page": {"domains": ["example.org", entry]}}})
    error = mine.refused()
    assert str(error) == f'"{entry}" is no host (policy.tools.read_page.domains)'
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    "entry", ["*", "x.org", "*.x.org", "X.org.", "x.org:8000", "localhost", "10.1.2.3", "::1", "[::1]:80", "bücher.de"]
)
def test_a_domain_that_is_a_host_is_taken(mine: Project, entry: str) -> None:
    mine.engine(policy={"tools": {"shout": {"domains": [entry]}}})
    mine.check()


def test_a_private_host_that_is_none_is_refused(mine: Project) -> None:
    mine.engine(policy={"allow_private_hosts": ["http://localhost:8000"]})
    assert "(policy.allow_private_hosts)" in str(mine.refused())


@pytest.mark.parametrize("tool", ["search_knowledge", "read_source"])
def test_a_folder_of_the_knowledge_must_be_there(mine: Project, tool: str) -> None:
    mine.engine(policy={"tools": {tool: {"folders": ["knowledge", "knowledge/law"]}}})
    assert str(mine.refused()) == f'"knowledge/law" does not exist (policy.tools.{tool}.folders)'
    (mine.root / "knowledge" / "law").mkdir()
    mine.check()


# --- checks and what they judge


@pytest.mark.parametrize(
    ("kind", "check", "hint"),
    [
        ("Findings", "code", "Solution"), ("Verdicts", "code", "Solution"), ("Explanation", "code", "Solution"),
        ("Data", "code", "Solution"), ("Findings", "data", "Data"), ("Verdicts", "data", "Data"),
        ("Explanation", "data", "Data"), ("Solution", "data", "Data"), ("Data", "findings", "Findings"),
        ("Verdicts", "findings", "Findings"), ("Findings", "verdicts", "Verdicts"),
        ("Findings", "citations", "Explanation or Solution"), ("built_models:Price", "citations", "Explanation or"),
        ("built_models:Report", "findings", "Findings"),
    ],
)  # fmt: skip
def test_a_check_that_does_not_fit_its_type_is_refused(mine: Project, kind: str, check: str, hint: str) -> None:
    mine.change("tasks", lambda tree: tree["research"].update(output_pydantic=kind, checks=[check], data="price.json"))
    error = mine.refused()
    assert str(error).startswith("config/tasks.yaml:")
    assert str(error).endswith(f': task "research" checks {check}, which {kind} cannot have')
    assert error.hint.startswith(f"write output_pydantic: {hint}")


@pytest.mark.parametrize(
    ("kind", "checks"),
    [
        ("Solution", ["citations", "code"]),
        ("built_models:Price", ["code", "data"]),
        ("built_models:Report", ["citations"]),
    ],
)
def test_a_check_that_fits_is_taken(mine: Project, kind: str, checks: list[str]) -> None:
    (mine.root / "price.json").write_text('{"type": "object"}', "utf-8")
    data = {"data": "price.json"} if "data" in checks else {}
    mine.change("tasks", lambda tree: tree["research"].update(output_pydantic=kind, checks=checks, **data))
    mine.check()


def test_a_schema_that_nothing_reads_is_refused(mine: Project) -> None:
    (mine.root / "price.json").write_text('{"type": "object"}', "utf-8")
    mine.change("tasks", lambda tree: tree["research"].update(data="price.json"))
    error = mine.refused()
    assert str(error).endswith(': task "research" names a schema, but nothing reads it')
    assert error.hint.startswith("add data to the checks of research")


# --- schemas


def test_the_check_data_needs_a_schema(mine: Project) -> None:
    mine.change("tasks", lambda tree: tree["research"].update(output_pydantic="Data", checks=["data"]))
    error = mine.refused()
    assert str(error).startswith("config/tasks.yaml:")
    assert 'task "research" checks data, but names no schema' in str(error)


def test_the_tool_check_data_needs_a_task_with_a_schema(mine: Project) -> None:
    mine.give("researcher", "check_data")
    error = mine.refused()
    assert 'agent "researcher" has check_data, but no task of it names a schema' in str(error)
    (mine.root / "price.json").write_text('{"type": "object"}', "utf-8")
    mine.change("tasks", lambda tree: tree["research"].update(data="price.json"))
    mine.check()


@pytest.mark.parametrize(
    ("data", "content", "said"),
    [
        ("absent.json", None, "absent.json: No such file"),
        ("schema.json", '{"type": ', "neither JSON nor YAML"),
        ("schema.json", "[1, 2]", "holds no mapping"),
        ("schema.json", '{"type": "nonsense"}', "no valid JSON Schema"),
        ("schema.yaml", "type: object\nproperties: 5\n", "no valid JSON Schema"),
        ("built_models:Prize", None, "built_models has no Prize"),
        ("built_models:number", None, "is no pydantic model"),
        ("no_such_module:Price", None, "No module named"),
    ],
)
def test_a_schema_that_cannot_be_used_is_said_before_anything_starts(
    mine: Project, data: str, content: str | None, said: str
) -> None:
    if content is not None:
        (mine.root / data).write_text(content, "utf-8")
    mine.change("tasks", lambda tree: tree["research"].update(DATA, data=data))
    assert said in str(mine.refused())
    with pytest.raises(ConfigError):
        Runner(load(mine.root))
    assert not (mine.root / "runs").exists()


@pytest.mark.parametrize("data", ["schema.json", "schema.yaml", "built_models:Price"])
def test_a_schema_that_can_be_used_is_taken(mine: Project, data: str) -> None:
    (mine.root / "schema.json").write_text('{"type": "object", "required": ["price"]}', "utf-8")
    (mine.root / "schema.yaml").write_text("type: object\nrequired: [price]\n", "utf-8")
    mine.change("tasks", lambda tree: tree["research"].update(DATA, data=data))
    mine.check()


# --- the web search


def test_without_a_key_the_web_search_is_left_out_with_a_warning(mine: Project) -> None:
    mine.give("researcher", "search_web")
    assert build.warnings(mine.check()) == ["search_web is off: set one of SERPER_API_KEY, BRAVE_API_KEY"]
    assert "search_web" not in tools_of(mine, "researcher")


def test_with_a_key_the_web_search_is_there(mine: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRAVE_API_KEY", "k3y-of-the-engine")
    mine.give("researcher", "search_web")
    assert build.warnings(mine.check()) == []
    tool = tools_of(mine, "researcher")["search_web"]
    assert shape(tool) == {"query": ("string", ...)}
    assert "k3y" not in tool.description


def test_nobody_is_warned_about_a_web_search_that_nobody_asked_for(mine: Project) -> None:
    assert build.warnings(mine.check()) == []


# --- what the model is told


def tools_of(mine: Project, agent: str) -> dict[str, Any]:
    """The CrewAI tools of an agent, by name, as a run would build them."""
    from pilotage.crew import Kit
    from pilotage.record.journal import Journal

    found: dict[str, Any] = {}
    settings = mine.check()
    runner = Runner(settings)
    try:
        kit: Kit
        kit, _crew = runner._build("Why?", Journal(runner.engine, runner.redactor), [])
        found = {tool.name: tool for tool in kit.agent(agent).tools or []}
        kit.desk.close()
    finally:
        runner.close()
    return found


def shape(tool: Any) -> dict[str, tuple[str, Any]]:
    """Each argument with its type and default; ... stands for a required one."""
    schema = tool.args_schema.model_json_schema()
    required = schema.get("required", [])
    return {
        name: (entry["type"], ... if name in required else entry.get("default"))
        for name, entry in schema["properties"].items()
    }


@pytest.fixture
def equipped(mine: Project) -> Project:
    """The researcher has every tool that there is."""
    with closing(sqlite3.connect(mine.root / "shop.sqlite")) as db, db:
        db.execute("create table item(name text, price real)")
    (mine.root / "price.json").write_text('{"type": "object"}', "utf-8")
    mine.change("tasks", lambda tree: tree["research"].update(data="price.json"))
    now = {"description": "What time it is.", "url": "https://time.example/now"}
    mine.engine(databases={"shop": {"url": "sqlite:///shop.sqlite"}}, services={"rates": RATES, "now": now})
    mine.engine(policy={"tools": {"read_page": {"domains": ["example.org"]}}})
    mine.give("researcher", "query_db", "run_python", "check_data", "rates", "now", "shout", "reverse")
    return mine


def test_every_tool_has_its_arguments_with_their_types_and_its_docstring(equipped: Project) -> None:
    tools = tools_of(equipped, "researcher")
    assert {name: shape(tool) for name, tool in tools.items()} == {
        "search_knowledge": {"query": ("string", ...)},
        "read_page": {"url": ("string", ...), "looking_for": ("string", "")},
        "read_source": {"source": ("string", ...)},
        "query_db": {"sql": ("string", ...), "database": ("string", "")},
        "run_python": {"code": ("string", ...), "tests": ("string", "")},
        "check_data": {"text": ("string", ...), "format": ("string", "json")},
        "rates": {
            "base": ("string", ...), "day": ("integer", ...), "amount": ("number", ...), "exact": ("boolean", ...),
        },
        "now": {},
        "shout": {"text": ("string", ...), "times": ("integer", 1)},
        "reverse": {"text": ("string", ...)},
    }  # fmt: skip
    said = {
        "search_knowledge": "the best passages, their quotes as [start, end, score]",
        "read_page": "Of a long page, the passages are returned that fit",
        "read_source": "Open one source by its id",
        "query_db": "shop (SQLite):\n  item(name TEXT, price REAL)",
        "run_python": "Tests are assert statements or functions named test_",
        "check_data": "against the schema of your task",
        "rates": "The rate of a currency on a day.",
        "now": "What time it is.",
        "shout": "Say it louder.\n\nAs often as you like.",
        "reverse": "Turn a text round.",
    }
    for name, words in said.items():
        assert words in tools[name].description, name
        assert "\n    " not in tools[name].description, name


def test_a_search_is_shortened_for_an_agent_that_may_open_the_rest_alone(mine: Project) -> None:
    def is_shortened() -> bool:
        return "quotes of others" in tools_of(mine, "researcher")["search_knowledge"].description

    assert is_shortened()
    mine.engine(policy={"agents": {"researcher": ["search_knowledge"]}})
    assert not is_shortened()
    mine.engine(policy={"agents": {"researcher": ["search_knowledge", "read_source"]}})
    assert is_shortened()
    mine.change("agents", lambda tree: tree["researcher"].update(tools=["search_knowledge"]))
    assert not is_shortened()


def test_read_page_is_left_out_where_it_could_read_nothing(mine: Project) -> None:
    assert "read_page" not in tools_of(mine, "researcher")
    mine.give("verifier", "search_web")  # what it finds may be read
    assert "read_page" in tools_of(mine, "researcher")


def test_an_agent_gets_the_tools_that_it_names_and_no_other(equipped: Project) -> None:
    assert list(tools_of(equipped, "verifier")) == ["read_source"]
    assert list(tools_of(equipped, "explainer")) == []


def test_the_users_own_tools_are_found_by_their_names(mine: Project) -> None:
    assert set(build.user_tools(load(mine.root))) == {"shout", "reverse"}
    mine.engine(tools=None)
    assert build.user_tools(load(mine.root)) == {}


def test_a_copy_of_a_tool_object_is_guarded_and_the_users_own_stays_as_it_is(mine: Project) -> None:
    mine.give("researcher", "reverse")
    guarded = tools_of(mine, "researcher")["reverse"]
    import built_tools  # type: ignore[import-not-found]

    assert guarded is not built_tools.reverse
    assert built_tools.reverse._run("abc") == "cba"
    assert type(guarded).__name__ == "Reverse"
