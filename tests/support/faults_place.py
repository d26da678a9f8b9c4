"""A tiny repository whose tickets cost next to nothing, with agents that leave a token wherever they worked."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo_project import Demo, home_in, script, ticket

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """version = 1
[project]
name = "demo"
[planning]
lead = "actor"
[dispatch]
timeout_s = 60
[agents.actor]
kind = "scripted"
script = "script.yaml"
[sandbox]
mode = "{sandbox}"
[tests]
run = []
"""
RUN = re.compile(r"run-([0-9a-f]{12})")
WORK = """t=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \\n')
say() {{ echo "{key} $ORCHESTRATE_ATTEMPT $t $1"; echo "{key} $ORCHESTRATE_ATTEMPT $t $1" >> {ledger}; }} 2>/dev/null
say begun
sleep {seconds}
echo "# run-$t" >> src/{key}.py && say wrote
sleep {seconds}
true"""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a place is to be like."""

    keys: str = "abc"
    """One ticket for each letter. `b` is refused once; from the third on, each waits for the one two before."""
    sandbox: str = "none"
    seconds: float = 0.05
    """What an agent takes before it writes, and after."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One repository under attack, and what its agents said outside of it."""

    folder: Path
    demo: Demo
    ledger: Path
    """One line for each step of an agent; it lies where no cut of power reaches. Agents in a sandbox cannot write it."""
    begin: str
    """The commit before anything was asked for."""
    keys: str

    @property
    def root(self) -> Path:
        return self.demo.root

    @property
    def state(self) -> Path:
        return self.root / ".orchestrate"

    @property
    def beside(self) -> Path:
        return self.root.with_name("demo-wt")

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read from the database of the harness; nothing while there is none yet."""
        file = self.state / "signalbox.sqlite"
        if not file.is_file():
            return []
        with closing(sqlite3.connect(file, timeout=60)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                return [dict(row) for row in connection.execute(query, values)]
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def ran(self) -> list[tuple[str, int, str, str]]:
        """List what agents said: key, attempt, token of the run, and `begun` or `wrote`."""
        if not self.ledger.is_file():
            return []
        lines = (line.split() for line in self.ledger.read_text(encoding="utf-8").splitlines())
        return [(key, int(attempt), token, step) for key, attempt, token, step in lines]


def place_in(folder: Path, wish: Wish, *, disk: Path | None = None) -> Place:
    """Make the repository below `folder`, or on the file system at `disk`; home and ledger always lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    root = (disk or folder) / "demo"
    root.mkdir()
    demo = Demo(root, home_in(folder))
    ledger = folder / "ledger"
    demo.git("init", "-qb", "main")
    demo.write("orchestrate.toml", POLICY.format(sandbox=wish.sandbox))
    demo.write("script.yaml", _script(wish, ledger))
    demo.write("src/lib.py", "ONE = 1\n")
    begin = demo.commit("begin")
    return Place(folder=folder, demo=demo, ledger=ledger, begin=begin, keys=wish.keys)


def _script(wish: Wish, ledger: Path) -> str:
    tickets, steps = [], {}
    for number, key in enumerate(wish.keys):
        path = f"src/{key}.py"
        more = {"depends_on": [wish.keys[number - 2]]} if number > 1 else {}
        acceptance = [{"run": ["grep", "-q", "X = 1", path], "timeout_s": 30}]
        tickets.append(ticket(key, new=path, accept="", **{**more, "acceptance": acceptance}))
        steps[f"add {key}"] = [
            _work(key, wish, ledger, right=right) for right in ((False, True) if key == "b" else (True,))
        ]
    return script(tickets, steps)


def _work(key: str, wish: Wish, ledger: Path, *, right: bool) -> list[dict[str, Any]]:
    """Write the file and then the token of this very run; a repeated run is seen as a second token."""
    text = "X = 1\n" if right else "X = 0\n"
    line = WORK.format(key=key, ledger=json.dumps(str(ledger)), seconds=wish.seconds)
    return [{"write": {"path": f"src/{key}.py", "text": text}}, {"shell": line}, {"report": "auto"}]
