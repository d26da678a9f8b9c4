from __future__ import annotations

import base64
import time
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from gates.builtin.secrets import GATE
from gates.cases.secrets import CLAUDE, HEX, PEM
from gates.masking import mask, shown
from gates.protocol import Call
from tickets.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gates.conftest import Judge, MakeCase

OWN = "correct horse/battery+staple"
POLICY = {
    "agents": {"coder": {"kind": "command", "command": ["x"], "env": ["SIGNALBOX_TEST_KEY"]}},
    "secrets": {"known": ["SIGNALBOX_TEST_SHORT"]},
}
FORMS = {
    "plain": OWN,
    "reversed": OWN[::-1],
    "base64": base64.b64encode(OWN.encode()).decode(),
    "base64 inside of more": base64.b64encode(f"user:{OWN}:tail".encode()).decode(),
    "hexadecimal": OWN.encode().hex(),
    "in a web address": urllib.parse.quote(OWN, safe=""),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_value_of_an_agents_variable_is_found_in_every_form(
    make_case: MakeCase, judge: Judge, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("SIGNALBOX_TEST_KEY", OWN)
    monkeypatch.setenv("SIGNALBOX_TEST_SHORT", "abc")
    case = make_case({"a.txt": "a\n"}, {"a.txt": f"abc {FORMS[form]}\n"}, policy=POLICY)
    verdict = judge.refused(GATE, case, "secrets.known-value")
    assert "$SIGNALBOX_TEST_KEY" in verdict.reason


def test_no_finding_holds_the_secret_and_each_has_its_line(make_case: MakeCase, judge: Judge) -> None:
    case = make_case({"a.py": "a = 1\n\nb = 2\n"}, {"a.py": f"a = 1\n\nb = 2\nk = '{CLAUDE}'\n"})
    finding = judge.refused(GATE, case, "secrets.anthropic-key").findings[0]
    assert (finding.path, finding.line) == ("a.py", 4)
    assert CLAUDE not in str(finding)
    assert f"sk-a…({len(CLAUDE)})" in finding.message


def test_a_secret_in_the_name_of_a_file_is_found_and_not_shown(make_case: MakeCase, judge: Judge) -> None:
    verdict = judge.refused(GATE, make_case({"a": "a"}, {f"notes/{CLAUDE}": "x\n"}), "secrets.anthropic-key")
    assert CLAUDE not in str(verdict)


def test_only_the_beginning_of_an_endless_transcript_is_read(make_case: MakeCase, judge: Judge, tmp_path: Path) -> None:
    log = tmp_path / "transcript"
    with log.open("wb") as file:
        file.write(f"{CLAUDE}\n".encode())
        file.truncate(1 << 30)
    case = make_case({"a": "a"}, {"b": "b"}, transcript=log)
    begun = time.monotonic()
    judge.refused(GATE, case, "secrets.anthropic-key")
    assert time.monotonic() - begun < 10


def test_masking_replaces_every_secret_and_nothing_else() -> None:
    text = (
        f"a {CLAUDE} b\nhttps://bot:q7Rt2vX9mK@git.acme.io/x\n{PEM}commit {HEX[:40]}, https://acme.io:8080/@me, as-is\n"
    )
    masked = mask(text, ["commit-name"])
    assert masked.splitlines()[:2] == [f"a {shown(CLAUDE)} b", f"https://bot:{shown('q7Rt2vX9mK')}@git.acme.io/x"]
    assert masked.endswith(f"commit {HEX[:40]}, https://acme.io:8080/@me, as-is\n")
    assert "MIIEpAIBAAKCAQEA" not in masked
    assert mask("value: s3cret-value!", ["s3cret-value!"]) == "value: …(13)"


def test_masking_a_large_log_takes_no_time() -> None:
    log = "".join(f"{number} epoch loss=0.25 {HEX[:40]} https://acme.io/{number}\n" for number in range(50_000))
    begun = time.monotonic()
    assert mask(log) == log
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("path", "answer"), [(".env", "refused"), ("a/.netrc", "refused"), (".env.example", "free"), ("a.py", "free")]
)
def test_files_of_secrets_are_not_read(make_case: MakeCase, path: str, answer: str) -> None:
    ticket = make_case({"a": "a"}, {"b": "b"}, ticket={}).ticket
    assert ticket
    assert ("free" if GATE.permits(Call(kind="read", path=path), ticket, Policy()) is None else "refused") == answer
