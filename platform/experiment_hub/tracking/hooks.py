"""The end of a process ends its runs: by an exception, by `sys.exit`, or simply so."""

import atexit
import sys
from types import TracebackType
from typing import Any, NoReturn, Protocol

from experiment_hub.errors import HubError


class Ending(Protocol):
    def finish(self, state: str = ..., error: str | None = ...) -> None: ...


_open: list[Ending] = []
_previous: dict[str, Any] = {}
_verdict: tuple[str, str | None] = ("finished", None)


def remember(run: Ending) -> None:
    """From now on, the end of the process is the end of the run."""
    if not _previous:
        _previous.update(excepthook=sys.excepthook, exit=sys.exit)
        sys.excepthook, sys.exit = _on_exception, _on_exit
        atexit.register(_at_exit)
    _open.append(run)


def forget(run: Ending) -> None:
    if run in _open:
        _open.remove(run)


def verdict(error: BaseException | None) -> tuple[str, str | None]:
    """State and words for whatever ended a run."""
    if error is None:
        return "finished", None
    if isinstance(error, SystemExit):
        return _of_exit(error.code)
    state = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
    return state, f"{type(error).__name__}: {error}"[:2000]


def say(message: str) -> None:
    sys.stderr.write(f"hub: {message}\n")


def _of_exit(code: object) -> tuple[str, str | None]:
    return ("finished", None) if code in {None, 0} else ("failed", f"exit status {code}"[:2000])


def _on_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _decide(verdict(error))
    _previous["excepthook"](kind, error, trace)


def _on_exit(code: Any = None, /) -> NoReturn:
    _decide(_of_exit(code))
    _previous["exit"](code)
    raise SystemExit(code)


def _decide(found: tuple[str, str | None]) -> None:
    global _verdict  # noqa: PLW0603 -- a process ends once
    _verdict = found


def _at_exit() -> None:
    while _open:
        try:
            _open.pop().finish(*_verdict)
        except HubError as error:
            say(str(error))
