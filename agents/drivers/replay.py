"""`replay`: plays a recorded attempt back exactly, and refuses a brief that it was not recorded for. No model, no program, no cost."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.drivers.base import OtherDriver
from agents.endings import End, unstarted
from agents.protocol import Assignment, Outcome, PlanningTask, Probe, Question
from agents.recordings import UnfitError, find, play
from agents.transcript import Transcript
from agents.usage import NOTHING
from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agents.recordings import Recording

_TOLD: dict[str, Callable[[Transcript, str], None]] = {
    "told": Transcript.told,
    "said": Transcript.said,
    "thought": Transcript.thought,
    "note": Transcript.note,
}


@dataclass(frozen=True, kw_only=True)
class ReplayDriver(OtherDriver):
    folder: Path
    """With the recordings."""
    kind: str = "replay"
    runs_foreign_code: bool = False
    repeats_itself: bool = False
    """The brief of the next attempt holds what was wrong with this one, and may have a recording of its own."""

    def probe(self) -> Probe:
        if not self.folder.is_dir():
            return Probe(ready=False, detail=f"there is no folder {self.folder}; `orchestrate agents record` makes it")
        count = len(list(self.folder.glob("*.json")))
        return Probe(ready=count > 0, detail=f"{count} recordings in {self.folder}")

    def plan(self, task: PlanningTask) -> str:
        return self._answer(task.brief)

    def answer(self, question: Question) -> str:
        return self._answer(question.brief)

    def work(self, assignment: Assignment) -> Outcome:
        begun = time.monotonic()
        bench = assignment.bench
        try:
            recording = self._attempt(assignment.brief)
            play(recording, bench.tree)
            outcome = _outcome(recording)
        except (InputError, UnfitError) as error:
            bench.transcript.ended(Cause.MISSING, str(error))
            return unstarted(End(cause=Cause.MISSING, reason=str(error)), bench)
        bench.transcript.note(f"played back: {recording.recorded_from}")
        for event in recording.transcript:
            _retell(bench.transcript, event)
        bench.log.parent.mkdir(parents=True, exist_ok=True)
        bench.log.write_text(outcome.report or outcome.reason, encoding="utf-8", errors="backslashreplace")
        return replace(outcome, transcript=str(bench.log), seconds=time.monotonic() - begun)

    def _attempt(self, brief: str) -> Recording:
        recording = find(self.folder, brief)
        if recording.outcome is None:
            raise InputError(
                f"agents.{self.name}: {recording.recorded_from} is recorded as an answer, not as an attempt"
            )
        return recording

    def _answer(self, brief: str) -> str:
        recording = find(self.folder, brief)
        if recording.answer is None:
            raise InputError(
                f"agents.{self.name}: {recording.recorded_from} is recorded as an attempt, not as an answer"
            )
        return recording.answer


def _outcome(recording: Recording) -> Outcome:
    """Give the recorded end; nothing was used, and no process was left, this time."""
    try:
        outcome = Outcome.from_json(recording.outcome or {})
    except (KeyError, TypeError, ValueError) as error:
        raise UnfitError(f"the outcome of {recording.recorded_from} is none of this version ({error!r})") from error
    return replace(outcome, used=NOTHING, counted=NOTHING, session="", again_at=None, survivors=0, sandbox="none")


def _retell(transcript: Transcript, event: Mapping[str, Any]) -> None:
    kind, text, identity = (str(event.get(key, "")) for key in ("kind", "text", "id"))
    given, state = event.get("given"), event.get("state")
    if kind == "call":
        transcript.call(identity, str(event.get("tool", "")), given if isinstance(given, dict) else {})
    elif kind == "result":
        transcript.result(identity, text, state=state if state in {"failed", "refused"} else "done")
    elif kind == "usage":
        transcript.note(f"used when it was recorded: {json.dumps(event)}")
    elif kind == "ended":
        cause = event.get("cause")
        transcript.ended(Cause(cause) if cause in set(Cause) else Cause.FAILED, text)
    elif kind in _TOLD:
        _TOLD[kind](transcript, text)
