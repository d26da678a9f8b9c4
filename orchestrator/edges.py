"""The edge of a thread of ours: what goes wrong behind it is a value, a defect leaves a saved report, and the others go on."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from orchestrator.mishaps import refusal
from tickets.errors import InconclusiveError, SignalboxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEFECT = 70
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What went wrong."""

    said: str
    exit: int


def tried(state: Path, about: str, work: Callable[[], T]) -> T | Trouble:
    """Let nothing out: the engine would take an error for the end of the run, and whoever waits for it would wait for ever."""
    try:
        return work()
    except SignalboxError as error:
        return Trouble(said=str(error), exit=error.exit_code)
    except OSError as error:
        return Trouble(said=f"{type(error).__name__}: {error}", exit=InconclusiveError.exit_code)
    except Exception as error:  # noqa: BLE001 - a process edge: a defect of ours ends one ticket or feature, with a saved report
        if refused := refusal(error):
            return Trouble(said=refused, exit=InconclusiveError.exit_code)
        file = state / "defects" / f"{about}-{int(time.time())}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(traceback.format_exc(), encoding="utf-8")
        return Trouble(said=f"a defect of Signalbox: {type(error).__name__}: {error} (see {file})", exit=DEFECT)
