"""A bench for one agent outside of any run: a tree, a home, a gate that a test writes, and every question kept."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.protocol import Bench, Permit
from agents.transcript import Transcript
from gates.masking import mask
from worktrees.confinement import Confinement
from worktrees.process import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from agents.usage import Usage
    from worktrees.confinement import Level, Opening

YES = Permit(allowed=True, reason="nothing speaks against it")


@dataclass(kw_only=True)
class Desk:
    """Answers live questions as a test wants them answered, and keeps them."""

    judge: Callable[[Mapping[str, Any]], Permit] = lambda _: YES
    asked: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: Mapping[str, Any]) -> Permit:
        with self._lock:
            self.asked.append(dict(event))
        return self.judge(event)


@dataclass(kw_only=True)
class Purse:
    """Lets an agent go on up to so many tokens."""

    tokens: int = 10**9
    counts: list[Usage] = field(default_factory=list)

    def __call__(self, used: Usage) -> str:
        self.counts.append(used)
        return "" if used.tokens <= self.tokens else f"{used.tokens} tokens were used; {self.tokens} were allowed"


def forbidding(*names: str) -> Callable[[Mapping[str, Any]], Permit]:
    """Refuse every call whose arguments name one of these."""

    def judge(event: Mapping[str, Any]) -> Permit:
        found = next((name for name in names if name in str(event.get("tool_input"))), None)
        return Permit(allowed=False, reason=f"{found} is not in the ticket's scope") if found else YES

    return judge


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a test chooses; everything else is as in a run."""

    level: Level = "none"
    opening: Opening | None = None
    """From `worktrees.gateway.gateway`, whose `Way` has the variables that go with it; not needed at the level `none`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    hook: tuple[str, ...] = (sys.executable, "-c", "raise SystemExit(2)")
    timeout_s: float = 120.0


def workbench(folder: Path, desk: Desk, *, purse: Purse | None = None, stage: Stage | None = None) -> Bench:
    """Set a bench up below `folder`; `tree` may be there already."""
    stage = stage or Stage()
    tree, home, session, logs = (folder / name for name in ("tree", "home", "session", "logs"))
    for path in (tree, home / "desk", home / "tmp", session, logs):
        path.mkdir(parents=True, exist_ok=True)
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        **stage.variables,
    }
    return Bench(
        tree=tree,
        home=home,
        session=session,
        desk=home / "desk",
        log=logs / "agent.log",
        variables=variables,
        confinement=Confinement(
            level=stage.level,
            write=(tree, home, session),
            opening=stage.opening,
        ),
        bounds=Bounds(timeout_s=stage.timeout_s, disk_bytes=1 << 30),
        transcript=Transcript(file=logs / "transcript.jsonl", mask=mask),
        gate=desk,
        hook=stage.hook,
        may_go_on=purse or Purse(),
    )
