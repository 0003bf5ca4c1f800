"""Takes secrets out of text before it is hashed, stored or shown.

What is found: the values of variables whose names say that they are secret (KEY, TOKEN, SECRET, PASSWORD), bearer
tokens, passwords in URLs, the key formats of common providers, private keys, and the patterns of `record.redact`.
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
PATTERNS = (
    r"(?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}",
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic, OpenRouter, Stripe
    r"\bAIza[A-Za-z0-9_-]{30,}",  # Google
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS
    r"\bgh[pousr]_[A-Za-z0-9]{30,}",  # GitHub
    r"\bgithub_pat_[A-Za-z0-9_]{30,}",
    r"\bglpat-[A-Za-z0-9_-]{18,}",  # GitLab
    r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"\bgsk_[A-Za-z0-9]{30,}",  # Groq
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",  # JSON web tokens
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
    r"(?<=://)[^\s/:@]+:[^\s/:@]+(?=@)",  # user:password in a URL
)


class Redactor:
    """Replaces what looks like a secret by `[redacted]`.

    >>> Redactor({"MY_API_KEY": "s3cr3t-value"}).text("the key is s3cr3t-value")
    'the key is [redacted]'
    """

    def __init__(self, environment: Mapping[str, str] | None = None, patterns: Iterable[str] = ()) -> None:
        env = os.environ if environment is None else environment
        secrets = {v for k, v in env.items() if SECRET_NAME.search(k) and len(v) >= SHORTEST_VALUE}
        literal = [re.escape(value) for value in sorted(secrets, key=len, reverse=True)]
        try:
            self._pattern = re.compile("|".join([*literal, *PATTERNS, *(f"(?:{p})" for p in patterns)]))
        except re.error as error:
            raise ConfigError(
                f"record.redact holds no valid regular expression: {error}",
                hint="change record.redact in config/pilotage.yaml",
            ) from None

    def text(self, text: str) -> str:
        return self._pattern.sub(MARK, text)

    def tree(self, value: Any) -> Any:
        """The same for every string inside dicts, lists and tuples."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        return value
