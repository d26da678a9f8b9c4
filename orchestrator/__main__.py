"""`orchestrate`: the command line, and the one place where errors become exit codes."""

from __future__ import annotations

import sys

if sys.argv[1:2] == ["guard"]:  # agents wait for it before every tool call: nothing else is imported
    from orchestrator.guard import main as guard

    sys.exit(guard(sys.argv[2:]))

import json
import os
import signal
import time
import traceback
from pathlib import Path
from typing import NoReturn

from tickets.errors import EnvironmentFailure, SignalboxError

DEFECT = 70
INTERRUPTED = 130


def main() -> NoReturn:
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of the workflow engine poll for a second more; what was acknowledged is on disk


def run(arguments: list[str]) -> int:
    """Carry out one command line and give its exit code."""
    from orchestrator.cli import app

    try:
        code = app(args=arguments, prog_name="orchestrate", standalone_mode=False)
    except SignalboxError as error:
        return _say(str(error), error.exit_code, arguments)
    except Exception as error:  # noqa: BLE001 - the process edge: everything that nobody expected ends here
        return _unexpected(error, arguments)
    return code if isinstance(code, int) else 0


def _unexpected(error: Exception, arguments: list[str]) -> int:
    if type(error).__name__ == "Abort":  # click's word for Ctrl-C
        return _say("interrupted; `orchestrate resume` carries on", INTERRUPTED, arguments)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of click, which typer vendors
        return _say(f"{error.format_message()} (orchestrate --help)", int(error.exit_code), arguments)
    from orchestrator.mishaps import refusal

    if said := refusal(error):
        said = f"the system refused: {said}; see to it, then `orchestrate resume` carries on"
        return _say(said, EnvironmentFailure.exit_code, arguments)
    file = _keep(traceback.format_exc())
    return _say(f"a defect of Signalbox: {type(error).__name__}: {error}\nIts report is in {file}", DEFECT, arguments)


def _keep(text: str) -> Path:
    folder = Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "signalbox"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"defect-{int(time.time())}-{os.getpid()}.txt"
    file.write_text(text, encoding="utf-8")
    return file


def _say(message: str, code: int, arguments: list[str]) -> int:
    print(message, file=sys.stderr)  # noqa: T201 - the command line speaks to a person
    if "--json" in arguments:
        print(json.dumps({"error": message, "exit": code}))  # noqa: T201 - exactly one document on standard output
    return code


if __name__ == "__main__":
    main()
