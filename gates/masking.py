"""Secrets in text: how they are recognised, and how they are shown: `sk-a…(40)`, never as they are."""

from __future__ import annotations

import base64
import math
import os
import re
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KNOWN_LEAST = 8
"""Characters that the value of a variable needs: anything shorter turns up by chance."""
_SHOWN, _SHORT = 4, 16
_PATTERNS: dict[str, str] = {
    "anthropic-key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "openai-key": r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|\bsk-[A-Za-z0-9]{48}\b",
    "openrouter-key": r"\bsk-or-v1-[0-9a-f]{40,}",
    "hugging-face-token": r"\b(?:hf|api_org)_[A-Za-z]{30,}\b",
    "modal-token": r"\b(?:ak|as)-(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{22}\b",
    "wandb-key": r"(?i:wandb)[^\n]{0,40}?['\"=: ](?P<secret>[0-9a-f]{40})\b|\bwandb_v1_[A-Za-z0-9_]{40,}",
    "groq-key": r"\bgsk_[A-Za-z0-9]{40,}\b",
    "replicate-token": r"\br8_[A-Za-z0-9]{30,}\b",
    "github-token": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{40,}\b",
    "gitlab-token": r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{20,}",
    "google-key": r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])|\bya29\.[\w-]{30,}|\bGOCSPX-[\w-]{28}",
    "aws-key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b|(?i:aws)[^\n]{0,30}?(?i:secret)[^\n]{0,30}?[\"'=: ](?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    "azure-key": r"AccountKey=(?P<secret>[A-Za-z0-9+/]{80,}={0,2})",
    "slack-token": r"\bxox[abeoprs]-[0-9A-Za-z-]{20,}|hooks\.slack\.com/services/(?P<secret>T\w{6,}/B\w{6,}/\w{20,})",
    "stripe-key": r"\b[rs]k_live_[0-9A-Za-z]{24,}",
    "sendgrid-key": r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}",
    "npm-token": r"\bnpm_[A-Za-z0-9]{36}\b|_authToken=(?P<secret>[^\s$\"'{}]{16,})",
    "pypi-token": r"\bpypi-AgE[A-Za-z0-9_-]{50,}",
    "digitalocean-token": r"\bdo[opr]_v1_[0-9a-f]{64}\b",
    "telegram-token": r"\b\d{8,10}:AA[\w-]{33}(?![\w-])",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "private-key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?P<secret>(?:[\s\"',+>|#*]|\\n|\\r|[A-Za-z-]+: [^\n]*\n)*[A-Za-z0-9+/]{40}[A-Za-z0-9+/=\s\\\"',+>|#*]*)",
    "url-password": r"\b[a-z][a-z0-9+.-]{1,20}://(?P<user>[^\s:/@\"'<>{}$]{0,64}):(?P<secret>[^\s:/@\"'<>{}$%(]{3,}(?:%[0-9A-Fa-f]{2}[^\s/@\"']*)?)@(?P<host>[A-Za-z0-9.-]+)",
    "netrc": r"\bmachine\s+(?P<host>\S+)\s+login\s+(?P<user>\S+)\s+password\s+(?P<secret>\S{3,})",
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_SIGNS: dict[str, tuple[str, ...]] = {
    "anthropic-key": ("sk-ant-",),
    "openai-key": ("sk-",),
    "openrouter-key": ("sk-or-",),
    "hugging-face-token": ("hf_", "api_org_"),
    "modal-token": ("ak-", "as-"),
    "wandb-key": ("wandb", "WANDB", "Wandb", "WandB"),
    "groq-key": ("gsk_",),
    "replicate-token": ("r8_",),
    "github-token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "gitlab-token": ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-"),
    "google-key": ("AIza", "ya29.", "GOCSPX"),
    "aws-key": ("AKIA", "ASIA", "ABIA", "ACCA", "aws", "AWS", "Aws"),
    "azure-key": ("AccountKey=",),
    "slack-token": ("xox", "hooks.slack"),
    "stripe-key": ("k_live_",),
    "sendgrid-key": ("SG.",),
    "npm-token": ("npm_", "_authToken"),
    "pypi-token": ("pypi-AgE",),
    "digitalocean-token": ("_v1_",),
    "telegram-token": (":AA",),
    "jwt": ("eyJ",),
    "private-key": ("PRIVATE KEY",),
    "url-password": ("://",),
    "netrc": ("machine",),
}
"""A pattern is tried only on texts that have one of its signs: looking for a sign is a thousand times cheaper."""
_INVENTED = re.compile(
    r"example|sample|placeholder|dummy|fake|changeme|change[-_]me|redacted|your[-_]?|insert|replace|xxxx|\*\*\*|\.\.\.|…"
    r"|0000000|1111111|12345678|abcdefgh|aaaaaaa|deadbeef|not[-_]a[-_]|not[-_]?real|testtest|<|>|\{|\}|\$\(",
    re.IGNORECASE,
)
_WEAK = frozenset(
    ("password", "passwd", "pass", "pwd", "secret", "postgres", "root", "admin", "test", "tests", "testing", "user", "username", "guest", "mysql",
     "redis", "rabbitmq", "token", "pw", "foo", "bar", "baz", "hunter2", "letmein", "dev", "local", "docker", "db", "demo", "s3cr3t", "secr3t", "p4ss")
)  # fmt: skip
_NEAR = re.compile(
    r"^(?:localhost|127\.|0\.0\.0\.0|::1|[a-z0-9_-]+$|.*\bexample\b.*|.*\.(?:test|invalid|local|localhost)$)"
)
_STRONG_BITS = 3.0


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A secret in a text."""

    kind: str
    value: str
    start: int

    @property
    def shown(self) -> str:
        return shown(self.value)


def shown(value: str) -> str:
    """Show a secret so that its owner knows it and nobody can use it."""
    return f"{value.strip()[:_SHOWN]}…({len(value)})" if len(value) >= _SHORT else f"…({len(value)})"


def find(text: str) -> Iterator[Hit]:
    """Give what looks like a real secret of a known kind, invented examples left out."""
    for kind, match in _matches(text):
        hit = _hit(kind, match)
        if not invented(match, hit.value):
            yield hit


SHORT_TEXT = 2000
"""Rules, reasons and names come again in every report: what was made of them is remembered."""


def mask(text: str, known: Iterable[str] = ()) -> str:
    """Give the text with every secret replaced; `known` are values of which the owner is certain."""
    return _mask_short(text, tuple(known)) if len(text) <= SHORT_TEXT else _mask(text, known)


def _mask(text: str, known: Iterable[str]) -> str:
    values = {_hit(kind, match).value for kind, match in _matches(text)} | {value for value in known if value in text}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, shown(value))
    return text


_mask_short = lru_cache(maxsize=2048)(_mask)


def known_secrets(names: Iterable[str]) -> dict[str, str]:
    """Give every form in which the values of these environment variables could turn up, and the name of each."""
    found: dict[str, str] = {}
    for name in names:
        value = os.environ.get(name, "").strip()
        if len(value) >= KNOWN_LEAST and entropy(value) > 1:
            found |= {form: name for form in _forms(value) if len(form) >= KNOWN_LEAST}
    return found


def entropy(text: str) -> float:
    """Bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _matches(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    for kind, pattern in _COMPILED.items():
        if any(sign in text for sign in _SIGNS[kind]):
            yield from ((kind, match) for match in pattern.finditer(text))


def _hit(kind: str, match: re.Match[str]) -> Hit:
    inner = match.groupdict().get("secret")
    return Hit(kind=kind, value=inner or match[0], start=match.start("secret") if inner else match.start())


def invented(match: re.Match[str], value: str) -> bool:
    """Say whether the secret is one of documentation, of a test data base on this machine, or a template."""
    fields = match.groupdict()
    if looks_invented(value):
        return True
    if fields.get("host") is None:
        return False
    weak = value.lower() in _WEAK or value == fields.get("user") or value.isalpha()
    return (
        bool(_INVENTED.search(match[0]))
        or weak
        or (bool(_NEAR.match(fields["host"])) and entropy(value) < _STRONG_BITS)
    )


def looks_invented(value: str) -> bool:
    return bool(_INVENTED.search(value)) or value.lower() in _WEAK or len(set(value)) <= _SHOWN


def _forms(value: str) -> set[str]:
    raw = value.encode()
    # base64 of the value inside a longer text: whole groups of each of the three alignments
    inside = (base64.b64encode(b"\0" * shift + raw)[math.ceil(shift * 4 / 3) :] for shift in range(3))
    encoded = {text.decode().rstrip("=")[: len(text) // 4 * 4 - 4] for text in inside}
    plain = {value, value[::-1], raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode().rstrip("=")}
    urls = {
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }
    return plain | urls | {text for text in encoded if len(text) > KNOWN_LEAST}
