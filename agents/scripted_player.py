"""Plays the steps of a scripted agent. Runs as a process of its own, with nothing but the standard library."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
REPORT = """## Summary

Did what the ticket asks.

## Files Changed

{files}

## Verification

{verification}

## Risks / Edge Cases

none

## Out-of-Scope Issues Found

none
"""


class Player:
    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, step: dict[str, str]) -> None:
        path = Path(step["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step["text"], encoding="utf-8")
        self.written.append(step["path"])

    def append(self, step: dict[str, str]) -> None:
        with Path(step["path"]).open("a", encoding="utf-8") as stream:
            stream.write(step["text"])
        self.written.append(step["path"])

    def delete(self, path: str) -> None:
        folder = Path(path).is_dir() and not Path(path).is_symlink()
        shutil.rmtree(path) if folder else Path(path).unlink()
        self.written.append(path)

    def shell(self, line: str) -> None:
        subprocess.run(["sh", "-c", line], check=False)

    def say(self, text: str) -> None:
        print(text, flush=True)  # noqa: T201 - this is what an agent prints

    def report(self, text: str) -> None:
        names = "\n".join(f"- `{path}`" for path in dict.fromkeys(self.written)) or "none"
        ready = {
            "auto": REPORT.format(files=names, verification="none run by me"),
            "lie": REPORT.format(files="- `nothing/of/the/kind.py`", verification="- `false` PASS (exit 0)"),
        }
        Path(os.environ["ORCHESTRATE_REPORT"]).write_text(ready.get(text, text), encoding="utf-8")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def exit(self, code: int) -> None:
        sys.exit(code)

    # misbehaviour

    def hang(self, _: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(60)

    def crash(self, _: Any) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def git(self, _: Any) -> None:
        for line in ("git init -q .", "git add -A", "git -c user.name=x -c user.email=x@x commit -qm x"):
            self.shell(line)

    def outside(self, path: str) -> None:
        """Write to a path that is not in the tree, by whatever way it takes."""
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("written by a hostile agent\n", encoding="utf-8")
        except OSError as error:
            self.say(f"could not write {path}: {error}")

    def fill(self, mib: int) -> None:
        with Path("filler.bin").open("wb") as stream:
            for _ in range(mib):
                stream.write(os.urandom(MIB))
                stream.flush()

    def flood(self, mib: int) -> None:
        line = b"x" * 1023 + b"\n"
        for _ in range(mib * 1024):
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def orphan(self, seconds: float) -> None:
        code = f"import os, time\nos.setsid() if os.getpid() != os.getsid(0) else None\ntime.sleep({seconds})\nopen('late.txt', 'w').write('late')"
        subprocess.Popen([sys.executable, "-I", "-c", code], start_new_session=True)


def main() -> None:
    player = Player()
    for step in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        ((name, value),) = step.items()
        action: Callable[[Any], None] = getattr(player, name)
        action(value)


if __name__ == "__main__":
    main()
