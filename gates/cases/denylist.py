"""Cases of the gate `denylist`."""

from __future__ import annotations

from gates.example import Example

BASE = {"orchestrate.toml": "version = 1\n", ".ci/run": "#!/bin/sh\n", "deps.lock": "a==1\n", "src/a.py": "a = 1\n"}
OWN = {"scope": {"deny": ["data/**"]}}

CASES = (
    Example(
        name="the policy itself",
        base=BASE,
        change={"orchestrate.toml": "version = 1\n# mine\n"},
        expects=("denylist.protected",),
    ),
    Example(name="a CI file", base=BASE, change={".ci/run": "#!/bin/sh\nexit 0\n"}, expects=("denylist.protected",)),
    Example(name="a lock file", base=BASE, change={"deps.lock": "a==2\n"}, expects=("denylist.protected",)),
    Example(name="a new lock file deep down", change={"x/y/z.lock": "a\n"}, expects=("denylist.protected",)),
    Example(name="a protected file deleted", base=BASE, change={".ci/run": None}, expects=("denylist.protected",)),
    Example(
        name="the policy renamed away",
        base={"orchestrate.toml": "version = 1\n" * 9},
        change={"orchestrate.toml": None, "old.toml": "version = 1\n" * 9},
        expects=("denylist.protected",),
    ),
    Example(name="the state of the harness", change={".orchestrate/x": "x\n"}, expects=("denylist.protected",)),
    Example(
        name="the policy where the configuration does not name it",
        base=BASE,
        change={"orchestrate.toml": "version = 1\n\n"},
        policy=OWN,
        expects=("denylist.protected",),
    ),
    Example(name="a link in a protected folder", links={".ci/more": "../src"}, expects=("denylist.protected",)),
    Example(name="a plain file", base=BASE, change={"src/a.py": "a = 2\n"}),
    Example(name="a file that is only named alike", base=BASE, change={"docs/orchestrate.toml.md": "x\n"}),
    Example(name="a lock file where the policy protects others", base=BASE, change={"deps.lock": "a==2\n"}, policy=OWN),
    Example(name="a module about locks", base=BASE, change={"src/lock.py": "x = 1\n"}),
)
