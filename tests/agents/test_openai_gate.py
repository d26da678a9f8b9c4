"""A live gate that is broken lets nothing through the loop of kind `openai`, which makes its calls itself."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agents.causes import Cause
from agents.protocol import Permit
from openai_lab import REPORT, at, call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CALLS = (call("write_file", path="src/a.py", content="x = 1\n"), call("run", command="echo x > evil.txt"), REPORT)
ANSWERS: dict[str, Any] = {
    "no reason and no word of yes": Permit(allowed=False, reason=""),
    "a word for a yes": SimpleNamespace(allowed="yes", reason="fine"),
    "a number for a yes": SimpleNamespace(allowed=1, reason="fine"),
    "no word at all": SimpleNamespace(allowed=None, reason=""),
}
NONE: dict[str, Any] = {"nothing": None, "text": "allow", "a mapping": {"allowed": True}}


def made(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "tree").rglob("*") if path.is_file())


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_no_plain_yes_is_a_no(tmp_path: Path, what: str) -> None:
    lab = at(tmp_path, judge=lambda _: ANSWERS[what])
    outcome, _ = lab.plays(*CALLS)
    assert len(lab.desk.asked) >= 3
    assert made(tmp_path) == []
    assert {one.refused for one in outcome.calls} == {True}


@pytest.mark.parametrize("what", NONE)
def test_an_answer_in_another_form_is_a_defect_and_nothing_is_done(tmp_path: Path, what: str) -> None:
    lab = at(tmp_path, judge=lambda _: NONE[what])
    with pytest.raises(AttributeError):
        lab.plays(*CALLS)
    assert made(tmp_path) == []


def test_a_gate_that_raises_lets_nothing_through(tmp_path: Path) -> None:
    def judge(_: Mapping[str, Any]) -> Permit:
        raise RuntimeError("the gate broke")

    with pytest.raises(RuntimeError, match="the gate broke"):
        at(tmp_path, judge=judge).plays(*CALLS)
    assert made(tmp_path) == []


def test_a_gate_that_answers_when_the_time_is_over_lets_nothing_through(tmp_path: Path) -> None:
    def judge(_: Mapping[str, Any]) -> Permit:
        time.sleep(2)
        return Permit(allowed=True, reason="too late")

    lab = at(tmp_path, judge=judge).limited(timeout_s=1.5)
    outcome, _ = lab.plays(*CALLS)
    assert outcome.cause is Cause.TIMEOUT
    assert made(tmp_path) == []
