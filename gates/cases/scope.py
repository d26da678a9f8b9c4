"""Cases of the gate `scope`."""

from __future__ import annotations

from gates.example import Example
from worktrees.changes import Change

ONE_FILE = {"scope": {"write": ["src/a.py"], "new": ["src/new/**"], "deny": ["src/new/secret.py"]}}
BASE = {"src/a.py": "a = 1\n", "src/b.py": "b = 1\n"}

CASES = (
    Example(
        name="a file that the ticket does not name",
        base=BASE,
        change={"src/b.py": "b = 2\n"},
        ticket=ONE_FILE,
        expects=("scope.outside",),
    ),
    Example(
        name="a new file beside the named ones",
        base=BASE,
        change={"src/c.py": "c = 1\n"},
        ticket=ONE_FILE,
        expects=("scope.outside",),
    ),
    Example(
        name="a file that the ticket denies inside of what it allows",
        base=BASE,
        change={"src/new/secret.py": "x = 1\n"},
        ticket=ONE_FILE,
        expects=("scope.outside",),
    ),
    Example(
        name="a file that the ticket does not name deleted",
        base=BASE,
        change={"src/b.py": None},
        ticket=ONE_FILE,
        expects=("scope.outside",),
    ),
    Example(
        name="a symlink at an allowed path",
        base=BASE,
        links={"src/new/link": "../../../etc/passwd"},
        ticket=ONE_FILE,
        expects=("scope.symlink",),
    ),
    Example(
        name="a case variant of an allowed name",
        base=BASE,
        change={"src/A.py": "a = 2\n"},
        ticket=ONE_FILE,
        expects=("scope.outside",),
    ),
    Example(
        name="a device planted in the tree",
        base=BASE,
        change={"src/a.py": "a = 2\n"},
        evidence=(Change(path="src/new/pipe", kind="special", note="fifo: neither a regular file nor a symlink"),),
        ticket=ONE_FILE,
        expects=("scope.special",),
    ),
    Example(
        name="anything where nothing may be written",
        base=BASE,
        change={"src/a.py": "a = 2\n"},
        ticket={"scope": {}},
        expects=("scope.outside",),
    ),
    Example(
        name="a name with marks that nobody sees",
        base=BASE,
        change={"src/new/a\u202epy.txt": "x\n"},
        ticket=ONE_FILE,
        expects=("scope.name",),
    ),
    Example(
        name="a name with a line break",
        base=BASE,
        change={"src/new/a\nb.py": "x = 1\n"},
        ticket=ONE_FILE,
        expects=("scope.name",),
    ),
    Example(
        name="a name in pieces that looks like another",
        base=BASE,
        change={"src/new/caf\u0065\u0301.py": "x = 1\n"},
        ticket=ONE_FILE,
        expects=("scope.name",),
    ),
    Example(name="a name in another language", base=BASE, change={"src/new/größe.py": "x = 1\n"}, ticket=ONE_FILE),
    Example(name="the named file", base=BASE, change={"src/a.py": "a = 2\n"}, ticket=ONE_FILE),
    Example(name="a new file below the named folder", base=BASE, change={"src/new/x.py": "x = 1\n"}, ticket=ONE_FILE),
    Example(
        name="the named file renamed into the named folder",
        base={"src/a.py": "a = 1\nb = 2\nc = 3\n"},
        change={"src/a.py": None, "src/new/a.py": "a = 1\nb = 2\nc = 3\n"},
        ticket=ONE_FILE,
    ),
    Example(
        name="what git ignores left behind",
        base=BASE,
        change={"src/a.py": "a = 2\n"},
        evidence=(Change(path="src/__pycache__/a.pyc", kind="byproduct"),),
        ticket=ONE_FILE,
    ),
)
