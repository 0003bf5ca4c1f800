"""Takes secrets out of text before it is hashed, stored or shown.

What is found: the values of variables whose names say that they are secret (KEY, TOKEN, SECRET, PASSWORD), bearer
tokens, passwords in URLs, values in a URL's query whose names say so (?api_key=…), the key formats of common providers,
private keys, and the patterns of `record.redact`.
What is not: secrets of a form of their own that stand in no variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pilotage.errors import ConfigError

MARK = "[redacted]"
SECRET_NAME = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
SHORTEST_VALUE = 8  # a shorter value would redact ordinary words
EDGE = r"(?<![A-Za-z0-9_])"  # not \b: a key may stand right behind a letter of another script
PATTERNS = (
    r"(?i:bearer|basic)\s+(?=\S*[0-9=_]|\S*[a-z]\S*[A-Z])[A-Za-z0-9._~+/=-]{8,}",
    EDGE + r"(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic, OpenRouter, Stripe
    EDGE + r"AIza[A-Za-z0-9_-]{30,}",  # Google
    EDGE + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    EDGE + r"gh[pousr]_[A-Za-z0-9]{30,}",  # GitHub
    EDGE + r"github_pat_[A-Za-z0-9_]{30,}",
    EDGE + r"glpat-[A-Za-z0-9_-]{18,}",  # GitLab
    EDGE + r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    EDGE + r"gsk_[A-Za-z0-9]{30,}",  # Groq
    EDGE + r"xox[abprs]-[A-Za-z0-9-]{10,}",  # Slack
    EDGE + r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",  # JSON web tokens
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
    r"(?<=://)[^\s/:@]*:[^\s/@]+(?=@)",  # user:password in a URL
)

_END = r"\s&#\"'<>`|"  # what ends a value in a URL, which may stand in brackets or at the end of a sentence
_PLACEHOLDER = rf"(?:(?i:your|my)[_.-]|x{{8}}|[A-Z]+(?:[_-][A-Z]+)+(?![^{_END})\].,;:!?])|[{{\[]|\$\{{|%7B|%3C|%24%7B)"
QUERY = re.compile(  # the name stays, for the reader to know which value is gone
    r"((?i:[?&]|&amp;)(?i:(?:[a-z]{1,20}[_.-]){0,3}(?:api[_-]?key|sig|signature|secret|password|passwd|pwd)"
    r"|(?:(?:access|auth|refresh|id|session|security|private|bearer|x-amz-security)[_-])?token"
    r"|(?:(?:access|auth|account|private|secret|subscription)[_-])?key|accesstoken|authtoken)=)"
    rf"(?!{_PLACEHOLDER})[^{_END}]{{{SHORTEST_VALUE - 1},}}[^{_END})\].,;:!?]"
)


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

    def text(self, text: str) -> str:
        text = QUERY.sub(rf"\1{MARK}", text)
        for pattern in self._patterns:
            text = pattern.sub(MARK, text)
        return text

    def tree(self, value: Any) -> Any:
        """The same for every string inside dicts, lists and tuples."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        return value
