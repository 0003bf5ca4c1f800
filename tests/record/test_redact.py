"""Redaction: secrets of known forms and values of the environment never pass; ordinary words do."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from pilotage.errors import ConfigError
from pilotage.record.redact import MARK, PATTERNS, QUERY, Redactor

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0xL"
KEYS = {
    "openai": "sk-" + LETTERS,
    "openai project": "sk-proj-" + LETTERS,
    "anthropic": "sk-ant-api03-" + LETTERS,
    "openrouter": "sk-or-v1-" + LETTERS,
    "google": "AIza" + LETTERS + "abc",
    "aws": "AKIA" + "ABCDEFGH12345678",
    "github": "ghp_" + LETTERS + "abcd",
    "github fine-grained": "github_pat_" + LETTERS,
    "gitlab": "glpat-" + LETTERS[:20],
    "hugging face": "hf_" + LETTERS + "ab",
    "groq": "gsk_" + LETTERS + LETTERS,
    "slack": "xoxb-" + "123456789012-" + LETTERS,
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + LETTERS,
}
FRAMES = ["{}", "key={}", '{{"key": "{}"}}', "the key is {}, keep it", "line\n{}\nline", "한국어 {}"]
KEPT = [
    "The task-force asked for disk-cache space and risk-averse settings.",
    "sk-short",
    "See https://example.com:8080/a@b and mail me@example.com at 12:30.",
    "retries.md#3f9a2c1e",
    "a" * 64,
    "The bearer of this message left.",
]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_a_known_form_is_taken_out_wherever_it_stands(name: str, frame: str) -> None:
    text = Redactor({}).text(frame.format(KEYS[name]))
    assert KEYS[name] not in text
    assert LETTERS[:12] not in text
    assert text == frame.format(MARK)


def test_a_key_glued_to_a_word_of_a_script_without_spaces_is_taken_out() -> None:
    assert KEYS["openai"] not in Redactor({}).text(f"키는{KEYS['openai']}입니다")


@pytest.mark.parametrize("text", KEPT)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redactor({}).text(text) == text


@pytest.mark.parametrize("text", ["Basic questions get short answers.", "a basic understanding", "bearer instruments"])
def test_basic_and_bearer_are_words_too(text: str) -> None:
    assert Redactor({}).text(text) == text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Basic"])
def test_the_credentials_of_a_header_are_taken_out(scheme: str) -> None:
    assert Redactor({}).text(f"Authorization: {scheme} dXNlcjpwYXNzd29yZA==") == f"Authorization: {MARK}"


@pytest.mark.parametrize(
    "url", ["postgresql://app:{}@db.example.com/x", "https://user:{}@example.com/", "redis+ssl://u:{}@h:6379/0"]
)
def test_the_password_of_a_url_is_taken_out_and_its_host_stays(url: str) -> None:
    text = Redactor({}).text(url.format("hunter-2!"))
    assert "hunter" not in text
    assert url.split("@")[1] in text


@pytest.mark.parametrize("url", ["redis://:{}@cache.example.com/0", "https://user:pa:{}@example.com/"])
def test_a_password_without_a_user_or_with_a_colon_is_taken_out(url: str) -> None:
    assert "hunter" not in Redactor({}).text(url.format("hunter-2!"))


@pytest.mark.parametrize("kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY"])
def test_a_private_key_is_taken_out_over_all_its_lines(kind: str) -> None:
    block = f"-----BEGIN {kind}-----\nMIIEow\nAB/+cd==\n-----END {kind}-----"
    assert Redactor({}).text(f"before\n{block}\nafter") == f"before\n{MARK}\nafter"
    assert Redactor({}).text(json.dumps({"file": block})) == json.dumps({"file": MARK})


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "MY_APIKEY", "KEY", "DB_PASSWORD", "github_token", "AWS_SECRET_ACCESS_KEY", "X_CREDENTIALS"],
)
def test_the_value_of_a_secret_variable_is_taken_out(name: str) -> None:
    assert Redactor({name: "plain words 1"}).text("it is plain words 1.") == f"it is {MARK}."


@pytest.mark.parametrize("name", ["MONKEY", "KEYBOARD", "TOKENIZERS_PARALLELISM", "PASSAGES", "HOME"])
def test_the_value_of_an_ordinary_variable_stays(name: str) -> None:
    assert Redactor({name: "plain words 1"}).text("it is plain words 1.") == "it is plain words 1."


def test_a_value_too_short_to_be_a_secret_stays() -> None:
    assert Redactor({"API_KEY": "test"}).text("a test of retries") == "a test of retries"


def test_the_longer_of_two_nested_values_is_taken_out_whole() -> None:
    redactor = Redactor({"A_KEY": "abcdefgh", "B_KEY": "abcdefgh-and-more"})
    assert redactor.text("abcdefgh-and-more") == MARK


def test_a_value_full_of_pattern_signs_is_taken_literally() -> None:
    assert Redactor({"A_KEY": "a.b*c(d[e\\f"}).text("x a.b*c(d[e\\f y") == f"x {MARK} y"
    assert Redactor({"A_KEY": "a.b*c(d[e"}).text("xaxbbcdde") == "xaxbbcdde"


def test_patterns_of_the_settings_are_taken_out_too() -> None:
    redactor = Redactor({}, ["EMP-\\d{4}", "x|yy"])
    assert redactor.text("EMP-1234, EMP-12, yy and x") == f"{MARK}, EMP-12, {MARK} and {MARK}"


@pytest.mark.parametrize("pattern", ["(open", "*x", "[a"])
def test_a_broken_pattern_is_a_config_error(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"record\.redact: .* is no valid regular expression") as caught:
        Redactor({}, [pattern])
    assert "record.redact" in caught.value.hint


def test_a_pattern_with_a_flag_is_valid() -> None:
    assert Redactor({}, ["(?i)codename"]).text("CodeName X") == f"{MARK} X"


def test_every_string_of_a_tree_is_cleaned_and_the_rest_stays() -> None:
    key = KEYS["openai"]
    tree = {"a": [key, 1, None, 2.5, True], key: {"deep": (f"x {key}",)}}
    assert Redactor({}).tree(tree) == {"a": [MARK, 1, None, 2.5, True], MARK: {"deep": [f"x {MARK}"]}}


def test_the_name_of_the_key_variable_is_no_secret() -> None:
    redactor = Redactor({"PILOTAGE_MODEL_API_KEY_ENV": "MY_SERVER_KEY"})
    assert redactor.text("MY_SERVER_KEY is not set") == "MY_SERVER_KEY is not set"


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "api-key", "key", "token", "access_token", "secret", "client_secret", "password", "sig",
     "signature", "API_KEY", "X-Amz-Signature", "X-Amz-Security-Token", "subscription-key"],
)  # fmt: skip
def test_a_secret_in_the_query_of_a_url_is_taken_out_and_its_name_stays(name: str) -> None:
    url = f"https://example.org/a?{name}=%2Bs3cr3t-v(a)lue&page=2&{name}=s3cr3t-value#top"
    assert Redactor({}).text(url) == f"https://example.org/a?{name}={MARK}&page=2&{name}={MARK}#top"


@pytest.mark.parametrize("frame", ["[a]({}).", '{{"url": "{}"}}', "See {}, then go on.", "<a href='{}'>x</a>", "`{}`|"])
def test_what_stands_behind_a_url_with_a_secret_stays(frame: str) -> None:
    url = "https://example.org/?a=1&amp;token={}"
    assert Redactor({}).text(frame.format(url.format("s3cr3t-value"))) == frame.format(url.format(MARK))


@pytest.mark.parametrize(
    "text",
    [
        "Write key=some-value and password=whatever-it-is into the file.",
        "R&D: token = abcdefghij",
        "https://example.org/?sort_key=created_at&page_token=abcdefghij&monkey=abcdefghij&design=abcdefghij",
        "https://example.org/?key=short",
        "https://example.org/?key=YOUR_API_KEY&token=your-token-here&secret={client_secret}&sig=${SIGNATURE}",
        "https://example.org/token=abcdefghij",
    ],
)
def test_ordinary_queries_and_placeholders_of_documentation_stay(text: str) -> None:
    assert Redactor({}).text(text) == text


@pytest.mark.parametrize("part", ["?key=", "?key=A", "?a_b_c_d_", "?key=....", "&amp;", "?key=AAAAAAAA_"])
def test_queries_made_to_cost_time_do_not(part: str) -> None:
    began = time.process_time()
    Redactor({}).text(part * 50_000)
    assert time.process_time() - began < 2


PIECES = [
    *KEYS.values(), "sk-", "k-", "AKIA", "IA", "gh", "ghp_", "hf_", "xox", "eyJ", "bearer ", "BASIC\t", "baſic ", "İ",
    "dXNlcjpwYXNzd29yZA==", "://", "user:pa@", "user:", "@", "?", "&", "&amp;", "api_key=", "token=", "YOUR_KEY", "my-",
    LETTERS, "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "\n", " ", "한국", "a", "9", ".", ":", "{",
    "s3cr3t-value",
]  # fmt: skip


def reference(text: str, patterns: list[str]) -> str:
    """Each pattern on the whole text, without a look for signs first."""
    text = QUERY.sub(rf"\1{MARK}", text)
    for pattern in ["|".join(["s3cr3t\\-value", *PATTERNS]), *patterns]:
        text = re.sub(pattern, MARK, text)
    return text


def of_tree(value: Any, patterns: list[str]) -> Any:
    if isinstance(value, str):
        return reference(value, patterns)
    if isinstance(value, dict):
        return {reference(key, patterns): of_tree(item, patterns) for key, item in value.items()}
    return [of_tree(item, patterns) for item in value]


@pytest.mark.parametrize("patterns", [[], ["^a9", "9$"]], ids=["known forms", "tied to the ends"])
def test_looking_for_signs_first_changes_nothing(patterns: list[str]) -> None:
    redactor, chance = Redactor({"MY_API_KEY": "s3cr3t-value"}, patterns), random.Random(7)
    found = 0
    for _ in range(6_000):
        first, second = ("".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(2))
        assert redactor.text(first) == reference(first, patterns)
        tree = {"a": [first, "a9"], second: [second, "plain"]}
        assert redactor.tree(tree) == of_tree(tree, patterns)
        found += redactor.text(first) != first
    assert found > 1_000


def test_a_text_without_a_secret_is_known_to_have_none_in_a_third_of_the_time() -> None:
    text = (
        "The task-force visits https://example.com/a?b=c&d=e and asks for disk-space, right through basic questions. "
    )
    redactor, text = Redactor({}), text * 15

    def seconds(clean: Callable[[], str]) -> float:
        began = time.process_time()
        for _ in range(100):
            assert clean() == text
        return time.process_time() - began

    quick = min(seconds(lambda: redactor.text(text)) for _ in range(5))
    assert quick < min(seconds(lambda: reference(text, [])) for _ in range(3)) / 3


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_secret_that_stands_escaped_in_json_in_json_is_taken_out(times: int) -> None:
    redactor, text = Redactor({"MY_API_KEY": 'pass"word\\1'}), f'line\n{KEYS["openai"]} pass"word\\1'
    for _ in range(times):
        text = json.dumps({"arguments": text, "n": 1})
    cleaned = redactor.deep({"value": text})["value"]
    for _ in range(times):
        cleaned = json.loads(cleaned)["arguments"]
    assert cleaned == f"line\n{MARK} {MARK}"


@pytest.mark.parametrize(
    "text", ['{"a": "x\\n"}', "[" * 5_000 + "\\", '{"a": ' * 2_000 + '"\\n"' + "}" * 2_000, '{"\\']
)
def test_json_without_a_secret_stays_to_the_letter(text: str) -> None:
    assert Redactor({}).deep([text, 1, None]) == [text, 1, None]


def test_deep_cleans_keys_and_everything_in_lists_and_dicts() -> None:
    key = KEYS["openai"]
    assert Redactor({}).deep({key: [{"a": [key, 1]}]}) == {MARK: [{"a": [MARK, 1]}]}
