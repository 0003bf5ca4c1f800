"""Takes secrets out of text before it is hashed, stored or shown.

What is found: the values of variables whose names say that they are secret (KEY, TOKEN, SECRET, PASSWORD), bearer
tokens, passwords in URLs, values in a URL's query whose names say so (?api_key=…), the key formats of common providers,
private keys, and the patterns of `record.redact`.
What is not: secrets of a form of their own that stand in no variable.

Most texts hold no secret. So each pattern has signs, short strings without which it cannot match: they are looked for
first, and the patterns are tried only where one stands.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pilotage.errors import ConfigError

MARK = "[redacted]"
SECRET_NAME = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
SHORTEST_VALUE = 8  # a shorter value would redact ordinary words
EDGE = r"(?<![A-Za-z0-9_])"  # not \b: a key may stand right behind a letter of another script
BEARER = r"(?i:bearer|basic)\s+(?=\S*[0-9=_]|\S*[a-z]\S*[A-Z])[A-Za-z0-9._~+/=-]{8,}"
SHAPES = (  # a sign of the form, how far before the sign it begins, and the form
    ("k-", 1, EDGE + r"(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"),  # OpenAI, Anthropic, OpenRouter, Stripe
    ("AIza", 0, EDGE + r"AIza[A-Za-z0-9_-]{30,}"),  # Google
    ("IA", 2, EDGE + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),  # AWS
    ("gh", 0, EDGE + r"gh[pousr]_[A-Za-z0-9]{30,}"),  # GitHub
    ("github_pat_", 0, EDGE + r"github_pat_[A-Za-z0-9_]{30,}"),
    ("glpat-", 0, EDGE + r"glpat-[A-Za-z0-9_-]{18,}"),  # GitLab
    ("hf_", 0, EDGE + r"hf_[A-Za-z0-9]{30,}"),  # Hugging Face
    ("gsk_", 0, EDGE + r"gsk_[A-Za-z0-9]{30,}"),  # Groq
    ("xox", 0, EDGE + r"xox[abprs]-[A-Za-z0-9-]{10,}"),  # Slack
    ("eyJ", 0, EDGE + r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),  # JSON web tokens
    ("-----BEGIN ", 0, r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----"),
    ("://", -3, r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)"),  # user:password in a URL
)
PATTERNS = (BEARER, *(form for _sign, _before, form in SHAPES))

_END = r"\s&#\"'<>`|"  # what ends a value in a URL, which may stand in brackets or at the end of a sentence
_PLACEHOLDER = rf"(?:(?i:your|my)[_.-]|x{{8}}|[A-Z]+(?:[_-][A-Z]+)+(?![^{_END})\].,;:!?])|[{{\[]|\$\{{|%7B|%3C|%24%7B)"
QUERY = re.compile(  # the name stays, for the reader to know which value is gone
    r"((?i:[?&]|&amp;)(?i:(?:[a-z]{1,20}[_.-]){0,3}(?:api[_-]?key|sig|signature|secret|password|passwd|pwd)"
    r"|(?:(?:access|auth|refresh|id|session|security|private|bearer|x-amz-security)[_-])?token"
    r"|(?:(?:access|auth|account|private|secret|subscription)[_-])?key|accesstoken|authtoken)=)"
    rf"(?!{_PLACEHOLDER})[^{_END}]{{{SHORTEST_VALUE - 1},}}[^{_END})\].,;:!?]"
)


SIGNS = (*((sign, before, re.compile(form)) for sign, before, form in SHAPES), ("?", 0, QUERY), ("&", 0, QUERY))
WORDS, ANY_CASE = ("bearer", "basic"), re.compile(BEARER)
ODD_LETTERS = re.compile("[\u0130\u0131\u017f\u212a]")  # match i, s and k where case does not count, in no lower case


def is_secret(variable: str) -> bool:
    """Whether a variable's name says that its value is secret; API_KEY_ENV holds a name, not a key."""
    return bool(SECRET_NAME.search(variable)) and not variable.upper().endswith("_ENV")


class Redactor:
    """Replaces what looks like a secret by `[redacted]`.

    >>> Redactor({"MY_API_KEY": "s3cr3t-value"}).text("the key is s3cr3t-value")
    'the key is [redacted]'
    """

    def __init__(self, environment: Mapping[str, str] | None = None, patterns: Iterable[str] = ()) -> None:
        env = os.environ if environment is None else environment
        secrets = {v for k, v in env.items() if is_secret(k) and len(v) >= SHORTEST_VALUE}
        literal = [re.escape(value) for value in sorted(secrets, key=len, reverse=True)]
        try:
            further = [re.compile(pattern) for pattern in patterns]
        except re.error as error:
            problem = f'record.redact: "{error.pattern!s}" is no valid regular expression: {error}'
            raise ConfigError(problem, hint="change record.redact in config/pilotage.yaml") from None
        if empty := next((p.pattern for p in further if p.match("")), None):
            problem = f'record.redact: "{empty}" matches everything, the empty text too'
            raise ConfigError(problem, hint="change record.redact in config/pilotage.yaml")
        self._patterns = [re.compile("|".join([*literal, *PATTERNS])), *further]
        self._values, self._further = tuple(secrets), further

    def text(self, text: str) -> str:
        if not self._is_suspect(text) and not self._are_asked_for([text]):
            return text
        text = QUERY.sub(rf"\1{MARK}", text)
        for pattern in self._patterns:
            text = pattern.sub(MARK, text)
        return text

    def tree(self, value: Any) -> Any:
        """The same for every string inside dicts, lists and tuples."""
        texts: list[str] = []
        plain = _plain(value, texts)
        if not self._is_suspect("\n".join(texts)) and not self._are_asked_for(texts):
            return plain
        return self._clean(plain)

    @staticmethod
    def plain(value: Any) -> Any:
        """The value as `tree` gives it back when there is nothing to take out."""
        return _plain(value, [])

    def deep(self, value: Any) -> Any:
        """As `tree` for what was read from JSON, and inside texts that are JSON, where secrets may stand escaped.

        Where there is none, it is the value itself, not a copy.
        """
        texts: list[str] = []
        _collect(value, texts)
        for text in texts:  # which grows meanwhile: JSON in JSON
            if "\\" in text:
                with contextlib.suppress(RecursionError):  # nested too deep to be anybody's message
                    _collect(_opened(text), texts)
        if not self._is_suspect("\n".join(texts)) and not self._are_asked_for(texts):
            return value
        return self._clean(value, deep=True)

    def _clean(self, value: Any, *, deep: bool = False) -> Any:
        if isinstance(value, str):
            return self.text(self._clean_json(value) if deep else value)
        if isinstance(value, dict):
            return {self.text(key): self._clean(item, deep=deep) for key, item in value.items()}
        return [self._clean(item, deep=deep) for item in value] if isinstance(value, list) else value

    def _clean_json(self, text: str) -> str:
        try:
            inner = _opened(text)
            cleaned = None if inner is None else self._clean(inner, deep=True)
        except RecursionError:
            return text
        return text if cleaned == inner else json.dumps(cleaned, ensure_ascii=False)

    def _is_suspect(self, text: str) -> bool:
        """Whether a known form or value stands in `text`: texts joined by line ends may seem to hold one more."""
        lower = text.lower()
        is_word = any(word in lower for word in WORDS) or (not text.isascii() and ODD_LETTERS.search(text))
        if (is_word and ANY_CASE.search(text)) or any(value in text for value in self._values):
            return True
        return any(sign in text and _stands(text, sign, before, form) for sign, before, form in SIGNS)

    def _are_asked_for(self, texts: list[str]) -> bool:
        """Whether a pattern of the user's matches; it may be tied to the ends of one text."""
        return any(pattern.search(text) for pattern in self._further for text in texts)


def _plain(value: Any, texts: list[str]) -> Any:
    """A copy of dicts, lists and tuples with texts for keys; every text in it goes to `texts`."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, Mapping):
        texts += (keys := [str(key) for key in value])
        return {key: _plain(item, texts) for key, item in zip(keys, value.values(), strict=True)}
    elif isinstance(value, list | tuple):
        return [_plain(item, texts) for item in value]
    return value


def _collect(value: Any, texts: list[str]) -> None:
    """Every text in dicts and lists."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        texts.extend(value)
        for item in value.values():
            if type(item) is str:  # most are
                texts.append(item)
            else:
                _collect(item, texts)
    elif isinstance(value, list):
        for item in value:
            _collect(item, texts)


def _opened(text: str) -> Any:
    """What a text of JSON with escapes says; None for any other text, which shows its secrets as it stands."""
    if text[:1] not in ("{", "[") or "\\" not in text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _stands(text: str, sign: str, before: int, form: re.Pattern[str]) -> bool:
    """Whether `form` matches from so many characters before some `sign`."""
    at = text.find(sign)
    while at >= 0:
        if form.match(text, at - before):
            return True
        at = text.find(sign, at + 1)
    return False
