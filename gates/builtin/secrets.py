"""`secrets`: no key, token or password in what the change adds, in the agent's report or in what the agent printed.

Own patterns and those of detect-secrets, and the very values of the environment variables that the policy names, in several
encodings. What stood anywhere at the base is not new. A transcript is read up to its first 8 MiB, a file up to 16 MiB.
Not covered: secrets in archives and images that are compressed, and passwords in prose.
"""  # noqa: A005 - a gate's module is named after the gate

from __future__ import annotations

import posixpath
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, islice, pairwise
from typing import TYPE_CHECKING

from gates.masking import Hit, entropy, find, known_secrets, looks_invented, mask
from gates.protocol import Call, Case, Gate
from gates.verdict import Finding, Verdict, judged
from tickets.globs import matches
from worktrees.deltas import Trees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detect_secrets.plugins.base import RegexBasedDetector

    from tickets.model import Ticket
    from tickets.policy import Policy
    from worktrees.changes import Change

TRANSCRIPT_BYTES, FILE_BYTES = 8 << 20, 16 << 20
HITS, LEAST = 200, 16
"""Secrets looked at in one text, and characters that one of detect-secrets needs: it also gives mere prefixes."""
_READ = frozenset({"added", "modified", "renamed", "mode", "symlink"})
_PRINTABLE = re.compile(rb"[\x20-\x7e\t]{12,}")
_ASSIGNED = re.compile(
    r"""(?i)(?P<name>(?:api_?key|auth_?key|access_?key|secret|passw(?:or)?d|passphrase|private_?key|token|credential)\w*)["']?\s*(?::=|:|=|=>)\s*"""
    r"""[rbuf]?(?P<quote>["'`])(?P<secret>[^"'`\s]{12,200})(?P=quote)"""
)
_ENV_LINE = re.compile(
    r"(?im)^(?:export\s+)?(?P<name>\w*(?:key|secret|passw(?:or)?d|token|credential|dsn)\w*)\s*=\s*[\"']?(?P<secret>[^\s\"'#]{8,})"
)
_ENV_FILE = re.compile(
    r"^\.env(?:\.(?!example$|sample$|template$|dist$|test$|defaults?$)[\w-]+)*$|^\.?(?:credentials|secrets)\.env$"
)
_NO_SOURCE = re.compile(
    r"(?i)(?:^|/)(?:tests?|testing|fixtures|testdata|docs?|examples?|locales?|node_modules|vendor|third_party)/|(?:^|/)(?:test_[^/]*|conftest)\.py$|_test\.\w+$"
    r"|\.(?:md|rst|txt|adoc|lock|ipynb|svg|csv|tsv|po|snap|ambr|map|min\.js|html|example|sample|template)$|(?:-lock\.\w+|\.sum|lock\.json|shrinkwrap\.json)$"
)
"""Where an assigned word is no secret: tests, documents, locks and data. Keys of known kinds are found there as well."""
_NAME_LIKE = re.compile(r"[A-Za-z_][\w.]*|[\w./-]*/[\w./-]*|[a-z]+(?:[-_.:][a-z0-9]+)+|[0-9.]+|[A-Z0-9_]+")
_ASSIGNED_BITS = 3.3
_PLUGINS = (  # of detect-secrets; what it has besides is too easily met by hashes, names and addresses
    "discord.DiscordBotTokenDetector", "gitlab_token.GitLabTokenDetector", "mailchimp.MailchimpDetector", "openai.OpenAIDetector",
    "pypi_token.PypiTokenDetector", "sendgrid.SendGridDetector", "slack.SlackDetector", "square_oauth.SquareOAuthDetector", "stripe.StripeDetector",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Text:
    """What is searched: a text, where it stands, and the line of each of its own lines."""

    path: str
    text: str
    lines: tuple[int, ...] = ()
    prose: bool = False
    """The agent's own words: an assigned word is no secret there."""

    def line(self, start: int) -> int:
        ends = list(accumulate(len(line) + 1 for line in self.text.split("\n")))
        at = bisect_right(ends, start)
        return self.lines[at] if at < len(self.lines) else 0


def rule(_ticket: Ticket, _policy: Policy) -> str:
    return (
        "No key, token, password or private key in any file, in your report or in what you print: not in tests and not encoded either. "
        "Read secrets from environment variables; write invented ones with the word `example` in them."
    )


def permits(call: Call, _ticket: Ticket, _policy: Policy) -> str | None:
    name = posixpath.basename(call.path)
    if call.kind == "read" and (
        _ENV_FILE.match(name) or name in {".netrc", "id_rsa", "id_ed25519", ".pypirc", ".npmrc"}
    ):
        return f"{call.path} holds secrets, which your work does not need"
    return None


def verify(case: Case) -> Verdict:
    known = known_secrets(variables_of(case.policy))
    found: dict[tuple[str, str], Finding] = {}
    for text in _texts(case):
        for hit in _hits(text, known):
            if (text.path, hit.value) not in found and not _stood_before(case, hit):
                found[text.path, hit.value] = _finding(text, hit, known)
    return judged(found.values(), otherwise="no secret in the change, the report or the transcript")


def variables_of(policy: Policy) -> tuple[str, ...]:
    return (*policy.secrets.known, *(name for agent in policy.agents.values() for name in agent.env))


def _texts(case: Case) -> Iterator[_Text]:
    for change in case.change.landing:
        if change.kind in _READ and not matches(change.path, case.policy.secrets.exempt):
            yield _Text(path=change.path, text=change.path, prose=True)
            yield _added(case, change)
    if case.report:
        yield _Text(path="report", text=case.report, prose=True)
    if case.transcript and case.transcript.is_file():
        with case.transcript.open("rb") as file:
            yield _Text(path="transcript", text=file.read(TRANSCRIPT_BYTES).decode(errors="replace"), prose=True)


def _added(case: Case, change: Change) -> _Text:
    """Give the lines that the file did not have, with their numbers; of a binary file the words in it."""
    old = b"" if change.kind == "added" else _read(case, case.change.base, change.old_path or change.path)
    before = set(_words(old).split("\n"))
    data = _read(case, case.change.commit, change.path)
    rows = [(number, line) for number, line in enumerate(_words(data).split("\n"), 1) if line not in before]
    numbers = () if b"\0" in data else tuple(number for number, _ in rows)
    return _Text(path=change.path, text="\n".join(line for _, line in rows), lines=numbers)


def _read(case: Case, commit: str, path: str) -> bytes:
    return Trees.of(case.repository).read(commit, [path]).get(path, b"")


def _words(data: bytes) -> str:
    data = data[:FILE_BYTES]
    if b"\0" not in data:
        return data.decode(errors="replace").replace("\r\n", "\n")
    # text in two bytes a character has a zero between them; in a real binary the second search finds what is plain
    wide = data.replace(b"\0", b"") if data.startswith((b"\xff\xfe", b"\xfe\xff")) else b""
    return "\n".join(word.decode("ascii") for word in (*_PRINTABLE.findall(data), *_PRINTABLE.findall(wide)))


def _hits(text: _Text, known: Mapping[str, str]) -> Iterator[Hit]:
    seen: list[str] = []
    for hit in islice(_every_hit(text, known), HITS):
        if not any(hit.value in value or value in hit.value for value in seen):
            seen.append(hit.value)
            yield hit


def _every_hit(text: _Text, known: Mapping[str, str]) -> Iterator[Hit]:
    yield from (Hit(kind="known-value", value=form, start=text.text.find(form)) for form in known if form in text.text)
    yield from find(text.text)
    for plugin in _plugins():
        kind = re.sub(r"[^a-z0-9]+", "-", plugin.secret_type.lower())
        for value in plugin.analyze_string(text.text):
            if len(value) >= LEAST and not looks_invented(value):
                yield Hit(kind=kind, value=value, start=max(text.text.find(value), 0))
    if not text.prose:
        yield from _assigned(text)


def _assigned(text: _Text) -> Iterator[Hit]:
    if _ENV_FILE.match(posixpath.basename(text.path)):
        for match in _ENV_LINE.finditer(text.text):
            if not looks_invented(match["secret"]):
                yield Hit(kind="env-file", value=match["secret"], start=match.start("secret"))
    if _NO_SOURCE.search(text.path):
        return
    for match in _ASSIGNED.finditer(text.text):
        if _strong(match["secret"]) and match["secret"].lower() not in match["name"].lower():
            yield Hit(kind="assigned", value=match["secret"], start=match.start("secret"))


def _strong(value: str) -> bool:
    """Say whether a word that is assigned to something like `password` is a secret and not a name, a path or a template."""
    mixed = any(character.isdigit() for character in value) and any(character.isalpha() for character in value)
    random = mixed and entropy(value) >= _ASSIGNED_BITS and not looks_invented(value)
    plain = _NAME_LIKE.fullmatch(value) and not (value.isalnum() and mixed and _switches(value))
    return bool(random and not plain and "://" not in value and not value.startswith(("$", "%", "#", "/", ".")))


def _switches(value: str) -> bool:
    """Say whether letters and digits change so often that nobody would have named a thing so."""
    kinds = ["d" if one.isdigit() else "u" if one.isupper() else "l" for one in value]
    return sum(one != other for one, other in pairwise(kinds)) >= len(value) // 3


def _stood_before(case: Case, hit: Hit) -> bool:
    """Ask the base whether it holds the value in any file: a moved or quoted secret is not this change's doing."""
    pattern = max(hit.value.splitlines(), key=len).strip()
    answer = case.repository.plumb_ask(
        "grep", "--quiet", "--fixed-strings", "--text", "-f", "-", case.change.base, stdin=pattern.encode()
    )
    return answer.code == 0


def _finding(text: _Text, hit: Hit, known: Mapping[str, str]) -> Finding:
    what = f"the value of ${known[hit.value]}" if hit.value in known else f"a secret ({hit.kind})"
    path = mask(text.path, [hit.value])
    message = f"{path} has {what}: {hit.shown}; take it out, and read it from an environment variable instead"
    return Finding(rule=f"secrets.{hit.kind}", path=path, line=text.line(hit.start), message=message)


@cache
def _plugins() -> tuple[RegexBasedDetector, ...]:
    from importlib import import_module

    pairs = (name.split(".") for name in _PLUGINS)
    return tuple(getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in pairs)


GATE = Gate(name="secrets", judges="change", rule=rule, permits=permits, verify=verify)
