"""The policy: who may call what, how often, which domains and folders; and the ways around it that must not work."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotage.guard.hosts import Host, covered, read_host
from pilotage.guard.policy import KNOWLEDGE_TOOLS, PAGES, SHOWN, USER, Denial, Policy, hosts_in, lines
from pilotage.spec import PolicySpec, ToolRule

HAS = {"researcher": ["read_page", "fetch", "read", "search_knowledge", "run_python", "check_data"], "writer": ["read"]}
Make = Callable[..., Policy]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with data/ and private/, and a secret beside it; the present folder."""
    root = tmp_path / "project"
    for folder in ("data/sub", "private"):
        (root / folder).mkdir(parents=True)
    for file in ("data/a.txt", "private/key.txt", "secrets.txt", "../outside.txt"):
        (root / file).write_text("x")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def make(root: Path) -> Make:
    def build(
        named: tuple[str, ...] = (), agents: Any = None, strict: bool = False, private: Any = (), **tools: Any
    ) -> Policy:
        rules = {name: ToolRule(**rule) for name, rule in tools.items()}
        spec = PolicySpec(strict=strict, agents=agents or {}, tools=rules, allow_private_hosts=list(private))
        return Policy(spec, root, HAS, named)

    return build


def rule_of(denial: Denial | None) -> str | None:
    return denial.rule if denial else None


# --- agents, strict, calls


def test_without_rules_an_agent_may_use_what_it_has(make: Make) -> None:
    policy = make()
    assert policy.denies("writer", "read", {"path": "/etc/passwd"}) is None
    assert policy.denies("writer", "fetch", {}) == Denial(
        "writer does not have fetch", "config/agents.yaml: writer.tools"
    )
    assert rule_of(policy.denies("stranger", "read", {})) == "config/agents.yaml: stranger.tools"


def test_a_list_for_an_agent_narrows_what_it_has_and_never_widens_it(make: Make) -> None:
    policy = make(agents={"researcher": ["read"], "writer": ["fetch"]})
    assert policy.denies("researcher", "read", {}) is None
    assert policy.denies("researcher", "fetch", {}) == Denial(
        "researcher may not use fetch", "policy.agents.researcher"
    )
    assert rule_of(policy.denies("writer", "fetch", {})) == "config/agents.yaml: writer.tools"
    assert rule_of(make(agents={"writer": []}).denies("writer", "read", {})) == "policy.agents.writer"


def test_in_strict_mode_an_agent_that_is_not_named_is_denied(make: Make) -> None:
    policy = make(strict=True, agents={"researcher": ["run_python"]})
    assert policy.denies("researcher", "run_python", {"code": "print('https://x.org /etc/passwd')"}) is None
    assert policy.denies("writer", "read", {}) == Denial("writer is not named in the policy", "policy.strict")


def test_in_strict_mode_a_tool_without_a_rule_reaches_no_address_and_no_file(make: Make) -> None:
    policy = make(strict=True, agents={"researcher": HAS["researcher"]}, named=("example.org",))
    for tool in ("fetch", PAGES):
        assert (
            rule_of(policy.denies("researcher", tool, {"url": "https://example.org"})) == f"policy.tools.{tool}.domains"
        )
    assert rule_of(policy.denies("researcher", "read", {"path": "data/a.txt"})) == "policy.tools.read.folders"
    assert policy.denies("researcher", "search_knowledge", {"query": "/etc/passwd at https://x.org"}) is None
    assert policy.denies("researcher", "check_data", {"text": '{"home": "https://x.org", "path": "/usr"}'}) is None
    assert policy.denies_url("rates", "https://example.org") != ""


def test_the_user_may_call_what_no_agent_has_but_is_bound_by_domains(make: Make) -> None:
    policy = make(strict=True, read_page={"domains": ["example.org"]})
    assert policy.denies(USER, PAGES, {"url": "https://example.org"}) is None
    assert rule_of(policy.denies(USER, PAGES, {"url": "https://evil.org"})) == "policy.tools.read_page.domains"


def test_an_agent_that_is_called_like_the_user_is_an_agent(root: Path) -> None:
    policy = Policy(PolicySpec(agents={USER: []}), root, {USER: ["read"]})
    assert rule_of(policy.denies(USER, "read", {})) == "policy.agents.user"


def test_calls_are_counted_for_all_agents_together(make: Make) -> None:
    policy = make(read={"calls": 2})
    assert policy.denies("writer", "read", {}) is None
    assert policy.denies("researcher", "read", {}) is None
    assert policy.denies("writer", "read", {}) == Denial("read has had its 2 calls", "policy.tools.read.calls")
    assert policy.denies("researcher", "fetch", {}) is None
    assert rule_of(make(read={"calls": 0}).denies("writer", "read", {})) == "policy.tools.read.calls"


def test_a_call_that_is_denied_for_another_reason_is_not_counted(make: Make) -> None:
    policy = make(fetch={"calls": 1, "domains": ["example.org"]})
    assert rule_of(policy.denies("researcher", "fetch", {"url": "https://evil.org"})) == "policy.tools.fetch.domains"
    assert policy.denies("researcher", "fetch", {"url": "https://example.org"}) is None


def test_many_threads_get_exactly_the_calls_that_there_are(make: Make) -> None:
    policy, start = make(read={"calls": 50}), threading.Barrier(8)
    passed: list[int] = []

    def ask() -> None:
        start.wait()
        passed.extend(1 for _ in range(100) if policy.denies("writer", "read", {}) is None)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 50


# --- domains


ALLOWED = [
    "example.org",
    "*.docs.dev",
    "www.site.net",
    "host.io:8443",
    "münchen.de",
    "[::1]:8000",
    "10.1.2.3",
    "shop.example",
]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org", "http://example.org/path?q=1#x", "https://EXAMPLE.org/", "https://example.org./",
        "example.org",
        "example.org/path", "//example.org/x", "https://sub.example.org", "https://a.b.example.org:8080/",
        " https://example.org\n",
        "https://www.example.org", "https://docs.dev", "https://py.docs.dev", "https://site.net",
        "https://www.site.net",
        "https://a.www.site.net", "https://host.io:8443/x", "https://münchen.de/", "https://xn--mnchen-3ya.de",
        "https://MÜNCHEN.de",
        "http://[::1]:8000/", "http://[0:0:0:0:0:0:0:1]:8000", "http://10.1.2.3:99", "ftp://example.org/file",
        "https://example.org/https://evil.org", "https://example。org",
    ],
)  # fmt: skip
def test_an_address_on_an_allowed_domain_passes(make: Make, url: str) -> None:
    assert make(fetch={"domains": ALLOWED}).denies("researcher", "fetch", {"url": url}) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.org", "https://example.org.evil.org", "https://notexample.org", "https://example.orgx",
        "https://org",
        "https://example.org@evil.org", "https://example.org:x@evil.org/", "https://evil.org@example.org",
        "https://evil.org\\@example.org",
        "https://example.org\\@evil.org", "https://example.org\\.evil.org", "https:\\\\evil.org", "https:/evil.org",
        "https:evil.org",
        "https:///evil.org", "https://evil.org#@example.org", "https://evil.org?@example.org",
        "https://evil.org/@example.org",
        "https://exam\tple.org", "https://evil.org\n.example.org", "https://evil.org .example.org",
        "https://evil.org\x00.example.org",
        "https://evil.org%2f.example.org", "https://evil.org%00.example.org", "https://evil.org／.example.org",
        "https://evil.org℀.example.org",
        "https://еxample.org",  # Cyrillic е
        "https://other.site.net", "https://host.io", "https://host.io:443", "https://host.io:08443x", "http://[::1]/",
        "http://[::2]:8000",
        "http://[evil.org]/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://10.1.2.3.4/",
        "http://127.1",
        "http://example.org:99999/", "http://example.org:-1/", "http://example.org:a/", "https://..example.org",
        "https://-.",
        "file:///etc/passwd", "data:text/html,x", "javascript:alert(1)", "mailto:x@example.org", "//evil.org/x",
        "evil.org", "localhost",
        "https://", "https://*.example.org", "*", "https://example.org https://evil.org",
    ],
)  # fmt: skip
def test_every_other_address_is_denied(make: Make, url: str) -> None:
    policy = make(fetch={"domains": ALLOWED})
    assert rule_of(policy.denies("researcher", "fetch", {"url": url})) == "policy.tools.fetch.domains"
    assert policy.denies_url("fetch", url).endswith("(policy.tools.fetch.domains)")


@pytest.mark.parametrize(
    "url", ["https://a@b.org", "https://a\\b", "file:///etc/passwd", "https://", "http://0x7f.1/", "https:evil"]
)
def test_a_star_allows_every_host_and_no_address_without_one(make: Make, url: str) -> None:
    policy = make(fetch={"domains": ["*"]})
    assert policy.denies("researcher", "fetch", {"url": "https://any.where.example"}) is None
    assert rule_of(policy.denies("researcher", "fetch", {"url": url})) == "policy.tools.fetch.domains"


def test_an_empty_list_allows_no_domain(make: Make) -> None:
    assert make(fetch={"domains": []}).denies("researcher", "fetch", {"url": "https://example.org"})
    assert make(fetch={"domains": []}).denies("researcher", "fetch", {"text": "no address", "url": ""}) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "please read https://evil.org/x now"},
        {"text": "(https://evil.org)"},
        {"text": "x=https:\\\\evil.org"},
        {"text": "see HTTPS://EVIL.ORG"},
        {"text": "see //evil.org/x"},
        {"text": 'say "ws://evil.org"'},
        {"url": ["https://example.org", "https://evil.org"]},
        {"request": {"target": {"pageUrl": "evil.org"}}},
        {"requests": [{"base-url": "evil.org"}, 1, None]},
        {"hostname": "evil.org"},
        {"options": ({"webhook": "evil.org"},)},
        {"urls": {"https://evil.org"}},
        {"https://evil.org": 1},
        {"raw": b"https://evil.org"},
        {"body": json.dumps({"url": "https://evil.org"}).replace("/", "\\/")},
        {"body": '{"\\u0075rl": "evil.org"}'},
        {"body": '[{"link": "evil.org"}]'},
        {"url": "https://example.org/ https://evil.org/"},
        {"url": ToolRule(domains=["https://evil.org"])},
    ],
)
def test_an_address_is_found_wherever_it_stands_in_the_arguments(make: Make, arguments: dict[str, Any]) -> None:
    assert (
        rule_of(make(fetch={"domains": ["example.org"]}).denies("researcher", "fetch", arguments))
        == "policy.tools.fetch.domains"
    )
    assert make().denies("researcher", "fetch", arguments) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "see https://example.org."}, {"text": "(https://example.org/a_(b)), and more"},
        {"n": 5, "max_urls": 3, "on": True},
        {"text": "a ratio of 3:4, C:\\temp, a::b, and // a comment"}, {"text": "the host evil.org is not called here"},
        {"url": None}, {}, {"text": "{not json"}, {"links": []},
    ],
)  # fmt: skip
def test_what_names_no_other_host_passes(make: Make, arguments: dict[str, Any]) -> None:
    assert make(fetch={"domains": ["example.org"]}).denies("researcher", "fetch", arguments) is None


def test_arguments_that_are_nested_without_end_are_judged_too(make: Make) -> None:
    deep: Any = "https://evil.org"
    for _ in range(50_000):
        deep = [deep]
    policy = make(fetch={"domains": ["example.org"], "folders": ["data"]})
    assert rule_of(policy.denies("researcher", "fetch", {"x": deep})) == "policy.tools.fetch.domains"
    assert policy.denies("researcher", "fetch", {"x": "[" * 50_000}) is None


def test_a_sentence_shows_no_password_and_no_long_text(make: Make) -> None:
    policy = make(fetch={"domains": ["example.org"]})
    denial = policy.denies("researcher", "fetch", {"url": "https://me:hunter2@evil.org/\x1b[31m" + "x" * 500})
    assert denial is not None
    assert "hunter2" not in denial.reason
    assert denial.reason.isprintable()
    assert len(denial.reason) < SHOWN + 60


# --- the page reader without a rule


def test_a_page_is_read_only_where_the_user_named_its_host(make: Make) -> None:
    policy = make(named=("docs.python.org", "www.site.net"), private=["localhost:8000"])
    for url in ("https://docs.python.org/3/", "https://www.site.net", "https://site.net", "http://localhost:8000/x"):
        assert policy.denies("researcher", PAGES, {"url": url}) is None
    for url in (
        "https://python.org",
        "https://evil.site.net",
        "http://localhost/",
        "http://localhost:9/",
        "https://a@docs.python.org",
    ):
        denial = policy.denies("researcher", PAGES, {"url": url})
        assert rule_of(denial) == "policy.tools.read_page.domains names no other"
    assert "is no host that you named" in policy.denies_url(PAGES, "https://evil.org")
    assert policy.denies_url("fetch", "https://evil.org") == ""


def test_a_denied_host_comes_with_what_a_person_may_change(make: Make) -> None:
    add = 'add "evil.org" to policy.tools.{}.domains in config/pilotage.yaml'
    named = make().denies("researcher", PAGES, {"url": "https://evil.org/x"})
    assert named is not None
    assert named.hint == f"name it in the question or with --url, or {add.format(PAGES)}"
    assert make().denies_url(PAGES, "https://evil.org/x").hint == named.hint
    ruled = make(fetch={"domains": ["example.org"]}).denies_url("fetch", "https://evil.org/x")
    assert ruled.hint == add.format("fetch")
    assert make(named=["evil.org"]).denies_url(PAGES, "https://evil.org/x").hint == ""


@pytest.mark.parametrize("url", ["https://me:hunter2@example.org/x", "https://me@example.org", "//me@example.org"])
def test_an_address_with_a_user_name_is_told_so(make: Make, url: str) -> None:
    reason = make(named=["example.org"]).denies_url(PAGES, url)
    assert "example.org" in reason
    assert "carries a user name or a password (policy.tools.read_page.domains" in reason
    assert "hunter2" not in reason


def test_hosts_that_a_search_returned_may_be_read_from_then_on(make: Make) -> None:
    policy = make()
    assert policy.denies("researcher", PAGES, {"url": "https://found.example/x"})
    policy.name_hosts(["found.example"])
    assert policy.denies("researcher", PAGES, {"url": "https://found.example/x"}) is None


def test_a_page_reader_that_may_reach_no_host_is_known_beforehand(make: Make) -> None:
    assert make().reads_no_page()
    assert make(read_page={"domains": []}, named=("example.org",)).reads_no_page()
    assert make(strict=True, named=("example.org",)).reads_no_page()
    assert not make(named=("example.org",)).reads_no_page()
    assert not make(private=["localhost:8000"]).reads_no_page()
    assert not make(read_page={"domains": ["*"]}).reads_no_page()
    found = make()
    found.name_hosts(["example.org"])
    assert not found.reads_no_page()


def test_a_rule_for_the_page_reader_stands_above_what_was_named(make: Make) -> None:
    policy = make(named=("docs.python.org",), read_page={"domains": ["example.org"]})
    policy.name_hosts(["found.example"])
    for url in ("https://docs.python.org", "https://found.example"):
        assert rule_of(policy.denies("researcher", PAGES, {"url": url})) == "policy.tools.read_page.domains"
    assert policy.denies("researcher", PAGES, {"url": "https://example.org"}) is None


def test_hosts_are_named_and_asked_for_at_the_same_time(make: Make) -> None:
    policy, errors, done = make(named=("example.org",)), [], threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                policy.denies_url(PAGES, "https://other.example")
            except RuntimeError as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(2000):
        policy.name_hosts([f"h{n}.example"])
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert policy.denies_url(PAGES, "https://h1999.example") == ""


# --- folders


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "data/a.txt"}, {"path": "data/new.txt"}, {"path": "./data/sub/../a.txt"}, {"file": "data"},
        {"text": "data/a.txt"},
        {"paths": ["data/a.txt", "data/sub"]}, {"path": "{root}/data/a.txt"}, {"url": "file://{root}/data/a.txt"},
        {"path": Path("data/a.txt")},
        {"paths": "data/a.txt, data/sub/b c.txt"}, {"text": "TCP/IP and/or 24/7"}, {"text": "~5 minutes"},
        {"text": "#!/usr/bin/env python"},
        {"text": "import ../x from here"}, {"n": 3, "flag": None}, {"content": "line\n/etc/passwd\n../../x"},
        {"url": "https://example.org/../x"},
    ],
)  # fmt: skip
def test_a_path_in_a_folder_of_the_tool_passes(make: Make, root: Path, arguments: dict[str, Any]) -> None:
    given = json.loads(json.dumps(arguments, default=str).replace("{root}", str(root)))
    assert make(read={"folders": ["data"]}).denies("researcher", "read", given) is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "private/key.txt"}, {"path": "secrets.txt"}, {"path": "new.txt"}, {"path": "."}, {"path": ""},
        {"path": "data/../secrets.txt"},
        {"path": "data/sub/../../private/key.txt"}, {"path": "../outside.txt"}, {"path": "/etc/passwd"},
        {"path": "~/.ssh/id_rsa"},
        {"path": "~nobody-of-that-name/x"}, {"path": "data\\..\\secrets.txt"}, {"path": "..\\outside.txt"},
        {"path": "C:\\Windows\\win.ini"},
        {"path": "\\\\server\\share"}, {"path": "//server/share"}, {"path": "file:///etc/passwd"},
        {"url": "file:///etc/passwd"},
        {"text": "FILE:/etc/passwd"}, {"text": "see file:///etc/passwd please"},
        {"path": "file://{root}/data/../secrets.txt"},
        {"path": "file://{root}/data/%2e%2e/secrets.txt"}, {"path": "file://evil.org/data/a.txt"},
        {"path": "file:../outside.txt"},
        {"document": "/etc/passwd"}, {"document": "private/key.txt"}, {"document": "secrets.txt"},
        {"document": "data/../secrets.txt"},
        {"document": "~/x"}, {"document": ".."}, {"documents": ["data/a.txt", {"name": "private/new.txt"}]},
        {"filePath": "secrets.txt"},
        {"target-file": "secrets.txt"}, {"body": '{"path": "private/key.txt"}'}, {"paths": "data/a.txt,/etc/passwd"},
        {"paths": "data/a.txt ../outside.txt"}, {"paths": "data/a.txt:/etc/passwd"}, {"path": "data/link/key.txt"},

        {"path": "data/\x00/../../secrets.txt"}, {"path": " /etc/passwd"},
        {"path": "data/" + "a" * 5000 + "/../../secrets.txt"},
        {"path": Path("/etc/passwd")}, {"path": b"/etc/passwd"}, {"path": "x" * 300},
    ],
    ids=lambda arguments: ascii(arguments)[:60],
)  # fmt: skip
def test_every_other_path_is_denied(make: Make, root: Path, arguments: dict[str, Any]) -> None:
    (root / "data" / "link").symlink_to(root / "private")
    given = {
        key: value.replace("{root}", str(root)) if isinstance(value, str) else value for key, value in arguments.items()
    }
    policy = make(read={"folders": ["data"]})
    assert rule_of(policy.denies("researcher", "read", given)) == "policy.tools.read.folders"


def test_a_link_that_stays_inside_passes_and_a_folder_may_itself_be_a_link(make: Make, root: Path) -> None:
    (root / "data" / "again").symlink_to(root / "data" / "a.txt")
    (root / "shelf").symlink_to(root / "data")
    assert make(read={"folders": ["data"]}).denies("writer", "read", {"path": "data/again"}) is None
    assert make(read={"folders": ["shelf"]}).denies("writer", "read", {"path": "shelf/a.txt"}) is None


def test_links_that_lead_to_each_other_end_the_judgement_too(make: Make, root: Path) -> None:
    (root / "loop").symlink_to(root / "pool")
    (root / "pool").symlink_to(root / "loop")
    assert make(read={"folders": ["data"]}).denies("writer", "read", {"path": "loop/x"})
    assert not make(read={"folders": ["data", "pool/x"]}).within("read", root / "secrets.txt")


def test_a_folder_whose_name_only_begins_alike_is_another(make: Make, root: Path) -> None:
    (root / "data2").mkdir()
    assert make(read={"folders": ["data"]}).denies("writer", "read", {"path": "data2/x"})


def test_a_path_is_judged_from_the_present_folder_too(make: Make, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root.parent / "data").mkdir()
    monkeypatch.chdir(root.parent)
    policy = make(read={"folders": ["data"]})
    assert policy.denies("writer", "read", {"path": "data/a.txt"}), "from here, this is another file"
    assert policy.denies("writer", "read", {"path": str(root / "data" / "a.txt")}) is None


def test_an_empty_list_allows_no_folder_and_no_rule_allows_all(make: Make, root: Path) -> None:
    assert make(read={"folders": []}).denies("writer", "read", {"path": "data/a.txt"})
    assert make(read={"calls": 3}).denies("writer", "read", {"path": "/etc/passwd"}) is None
    assert make().within("read", Path("/etc/passwd"))
    policy = make(read={"folders": ["data"]})
    assert policy.within("read", root / "data" / "a.txt")
    assert not policy.within("read", root / "secrets.txt")


@pytest.mark.parametrize("tool", KNOWLEDGE_TOOLS)
def test_a_folder_of_the_knowledge_tools_narrows_what_is_found_and_not_what_is_asked(
    make: Make, root: Path, tool: str
) -> None:
    policy = make(**{tool: {"folders": ["data"]}})
    assert policy.denies("researcher", "search_knowledge", {"query": "/etc/hosts and ../x in private/key.txt"}) is None
    assert policy.within(tool, root / "data" / "a.txt")
    assert not policy.within(tool, root / "private" / "key.txt")
    assert make(strict=True).within(tool, root / "private" / "key.txt")


def test_domains_and_folders_of_one_tool_judge_a_file_address_as_a_path(make: Make, root: Path) -> None:
    policy = make(read={"folders": ["data"], "domains": ["example.org"]})
    assert policy.denies("writer", "read", {"url": f"file://{root}/data/a.txt"}) is None
    assert rule_of(policy.denies("writer", "read", {"url": "file:///etc/passwd"})) == "policy.tools.read.folders"
    assert rule_of(policy.denies("writer", "read", {"url": "https://evil.org"})) == "policy.tools.read.domains"


# --- hosts


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("What does https://docs.python.org/3/ say, and example.org?", ["docs.python.org", "example.org"]),
        ("see https://example.org.", ["example.org"]),
        ("(https://a.example/x), [b](https://b.example/y)", ["a.example", "b.example"]),
        ("请看example.org的文档，以及https://b.example，谢谢", ["b.example", "example.org"]),
        ("example.org에서 무엇을", ["example.org"]),
        ("http://localhost:8000/x and http://127.0.0.1:9/ and http://[::1]/", ["localhost", "127.0.0.1", "::1"]),
        ("https://münchen.de/x", ["xn--mnchen-3ya.de"]),
        ("münchen.de", []),
        ("write to bob@evil.org", []),
        ("https://web.archive.org/web/2020/https://evil.org/x?u=evil.net", ["web.archive.org"]),
        ("https://example.org@evil.org", []),
        ("what do README.md, setup.py and run.sh say, e.g. in v1.2.3?", []),
        ("docs.rs and EXAMPLE.ORG and example.org", ["docs.rs", "example.org"]),
        ("https://", []),
        ("", []),
    ],
)
def test_the_hosts_that_a_question_names(text: str, hosts: list[str]) -> None:
    assert sorted(hosts_in(text)) == sorted(hosts)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG.", Host("example.org", 443)),
        ("http://example.org:0/", Host("example.org", 0)),
        ("example.org:81", Host("example.org", 81)),
        ("https://[2001:DB8::1]/", Host("2001:db8::1", 443)),
        ("https://faß.de", Host("xn--fa-hia.de", 443)),
        ("gopher://x.org", Host("x.org")),
    ],
)
def test_how_a_host_is_read(url: str, host: Host) -> None:
    assert read_host(url) == host


def test_a_name_that_is_no_host_covers_nothing() -> None:
    for name in ("", "*.", "a@b.org", "x y.org", "https://", "[", "::::"):
        assert not covered(Host("b.org", 443), [name])
    assert covered(Host("b.org", 443), ["https://b.org/x"])
    assert covered(Host("::1", 8000), ["::1"])


# --- what doctor shows


def test_the_rules_are_shown_line_by_line(make: Make) -> None:
    policy = make(agents={"writer": []}, private=["localhost:8000"], read={"folders": ["data"], "calls": 3}, fetch={})
    assert lines(policy.spec) == [
        "strict: off", "writer: nothing", "read: folders ['data'], calls 3", "fetch: no limit",
        "private hosts: localhost:8000", "see policy in config/pilotage.yaml",
    ]  # fmt: skip
    assert lines(PolicySpec(strict=True))[0] == "strict: on"
