"""Cases of the gate `vcs`."""

from __future__ import annotations

from gates.example import Example
from worktrees.changes import Change

BASE = {"a.py": "a = 1\n", "sub/b.py": "b = 1\n"}
EXACT = {"scope": {"write": ["sub/.gitignore"]}}


def planted(*paths: str) -> tuple[Change, ...]:
    return tuple(Change(path=path, kind="git", note="a git repository or its files inside the tree") for path in paths)


CASES = (
    Example(name="a repository in the tree", evidence=planted(".git/config"), expects=("vcs.repository",)),
    Example(
        name="a nested repository",
        base=BASE,
        change={"a.py": "a = 2\n"},
        evidence=planted("sub/.git/HEAD", "sub/.git/config"),
        expects=("vcs.repository", "vcs.repository"),
    ),
    Example(name="a .git that is a file", evidence=planted("sub/.git"), expects=("vcs.repository",)),
    Example(name="attributes that steer git", change={".gitattributes": "* filter=x\n"}, expects=("vcs.control-file",)),
    Example(name="rules that hide files from git", change={"sub/.gitignore": "*\n"}, expects=("vcs.control-file",)),
    Example(name="submodules declared", change={".gitmodules": "[submodule]\n"}, expects=("vcs.control-file",)),
    Example(
        name="attributes taken away",
        base={"x/.gitattributes": "* text\n"},
        change={"x/.gitattributes": None},
        expects=("vcs.control-file",),
    ),
    Example(name="a plain change", base=BASE, change={"a.py": "a = 2\n"}),
    Example(name="a module about git", base=BASE, change={"sub/git.py": "x = 1\n"}),
    Example(name="ignore rules that the ticket names in full", change={"sub/.gitignore": "*.log\n"}, ticket=EXACT),
    Example(name="ignore rules without any ticket", change={".gitignore": "*.log\n"}, ticket=None),
)
