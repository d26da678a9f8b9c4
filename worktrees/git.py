"""The one door to git: a cleaned environment, no hooks, no filters, a time-out on every call, typed results.

`Repository.git` speaks to the person's repository (refs, worktrees). `Repository.plumb` runs object commands
in a git folder of our own that only borrows the person's object store: no configuration, no attributes, no
filter and no merge driver of the repository has any say there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from tickets.errors import InputError, SignalboxError
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TIMEOUT_S = 120.0
LOCK_PAUSES_S = (0.1, 0.4, 1.5)
NEUTRAL = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "safe.directory=*",
)
_OPTIONS = tuple(word for setting in NEUTRAL for word in ("-c", setting))
RAW = "* -text -filter -ident -working-tree-encoding !merge\n"
"""Attributes of our own git folder: they outrank every .gitattributes, so files are written byte for byte
and merged as text (`-merge` would make a conflict of any file that both sides changed)."""


_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

Process: TypeAlias = subprocess.Popen[bytes]


class GitError(SignalboxError):
    """A git command failed, or took too long."""

    def __init__(self, arguments: Sequence[str], message: str) -> None:
        super().__init__(f"git {' '.join(arguments[:4])}: {message}")


@dataclass(frozen=True, kw_only=True)
class Result:
    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return os.fsdecode(self.out).strip()


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Build the whole environment of a git process: nothing of ours leaks in, above all no GIT_DIR of a hook."""
    clean = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
    }
    return {**clean, **(extra or {})}


def call(arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes | IO[bytes] = b"") -> Result:
    """Run git once; the exit code is the caller's to judge."""
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *arguments],
            cwd=cwd,
            env=env,
            input=stdin if isinstance(stdin, bytes) else None,
            stdin=None if isinstance(stdin, bytes) else stdin,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        missing = "git was not found on the PATH" if cwd.is_dir() else f"{cwd} is not a folder"
        raise InputError(missing) from error
    except NotADirectoryError as error:
        raise InputError(f"{cwd} is not a folder") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(arguments, f"no answer within {TIMEOUT_S:.0f} s") from error
    return Result(code=done.returncode, out=done.stdout, err=done.stderr)


def checked(arguments: Sequence[str], result: Result) -> Result:
    if result.code != 0:
        lines = os.fsdecode(result.err).strip().splitlines() or [f"exit code {result.code}"]
        raise GitError(arguments, "; ".join(lines[:3]))
    return result


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a tree."""

    path: str
    mode: str
    """`100644`, `100755`, `120000` (symlink) or `160000` (submodule)."""
    oid: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    name: str
    email: str

    def environment(self) -> dict[str, str]:
        roles = ("AUTHOR", "COMMITTER")
        names = {f"GIT_{role}_NAME": self.name for role in roles}
        return names | {f"GIT_{role}_EMAIL": self.email for role in roles}


@dataclass(frozen=True, kw_only=True)
class Repository:
    root: Path
    """The main worktree."""
    common: Path
    """The git folder that all worktrees share."""
    here: Path
    """The worktree that was asked from; `root` or a linked one."""
    state: Path
    """Our own folder, ignored by git."""

    @classmethod
    def find(cls, start: Path, *, state: str = ".orchestrate") -> Repository:
        """Find the repository around `start`, from any of its worktrees; raise InputError when there is none."""
        question = [
            "rev-parse",
            "--path-format=absolute",
            "--is-bare-repository",
            "--git-common-dir",
            "--show-toplevel",
        ]
        answer = call(question, cwd=start, env=environment())
        lines = os.fsdecode(answer.out).removesuffix("\n").split("\n")
        if lines[:1] == ["true"]:
            raise InputError(f"{start} is a bare repository; Signalbox needs one with a worktree (git clone it)")
        if answer.code != 0 or len(lines) < 3:  # noqa: PLR2004 - the three answers asked for above
            raise InputError(f"{start} is not inside a git repository (git init, or use --repo PATH)")
        if len(lines) > 3:  # noqa: PLR2004 - the three answers asked for above
            raise InputError(
                f"{str(start)!r} is in a folder with a line break in its name; move the repository elsewhere"
            )
        common, here = Path(lines[1]), Path(lines[2])
        root = common.parent if common.name == ".git" else here
        return cls(root=root, common=common, here=here, state=root / state)

    def git(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run git on the person's repository; raise GitError when it fails."""
        return checked(arguments, self.ask(*arguments, stdin=stdin, env=env))

    def ask(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run git on the person's repository and let the caller judge the exit code."""
        where = {"GIT_DIR": str(self.common), **(env or {})}
        return call(arguments, cwd=self.root, env=environment(where), stdin=stdin)

    def plumb(self, *arguments: str, stdin: bytes | IO[bytes] = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run an object command in our own git folder; raise GitError when it fails."""
        return checked(arguments, self.plumb_ask(*arguments, stdin=stdin, env=env))

    def plumb_ask(
        self, *arguments: str, stdin: bytes | IO[bytes] = b"", env: Mapping[str, str] | None = None
    ) -> Result:
        return call(arguments, cwd=self.state, env=self._plumbing(env), stdin=stdin)

    def _plumbing(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        where = {"GIT_DIR": str(self._own_git()), "GIT_OBJECT_DIRECTORY": str(self.common / "objects")}
        if (self.common / "shallow").is_file():
            where["GIT_SHALLOW_FILE"] = str(self.common / "shallow")
        return environment({**where, **(env or {})})

    def plumb_process(self, *arguments: str, stderr: IO[bytes]) -> Process:
        """Start an object command that goes on answering what it is asked; `LongRunning` speaks with it."""
        command = ["git", *_OPTIONS, *arguments]
        # git before 2.49 keeps answers of merge-tree back until its buffer is full
        if unbuffered := shutil.which("stdbuf"):
            command = [unbuffered, "-o0", *command]
        return subprocess.Popen(
            command,
            cwd=self.state,
            env=self._plumbing(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            process_group=0,  # an interrupt typed at the terminal is for the harness
        )

    def _own_git(self) -> Path:
        own = self.state / "git"
        attributes = own / "info" / "attributes"
        if not attributes.is_file() or attributes.read_text() != RAW:
            self._make_own_git(own)
        return own

    def _make_own_git(self, own: Path) -> None:
        sha256 = self.ask("rev-parse", "--show-object-format").text == "sha256"
        version, extension = ("1", "[extensions]\n\tobjectformat = sha256\n") if sha256 else ("0", "")
        for folder in ("info", "refs", "objects"):
            (own / folder).mkdir(parents=True, exist_ok=True)
        config = f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}"
        # each file in one go and the attributes last: others begin to use the folder the moment they see those
        for name, text in (("HEAD", "ref: refs/heads/none\n"), ("config", config), ("info/attributes", RAW)):
            write_durably(own / name, text.encode())

    # refs and objects

    def commit(self, revision: str) -> str | None:
        """Give the id of the commit that the revision names, or None."""
        answer = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return answer.text if answer.code == 0 else None

    def tip(self, ref: str) -> str | None:
        """Give the commit that a ref stands at, or None; it is asked for often, and mostly costs no process."""
        try:
            text = (self.common / ref).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            text = ""  # packed, kept in another way, or not there: git knows
        return text if _ID.fullmatch(text) else self.commit(ref)

    def tree(self, commit: str) -> str:
        return _tree(self, commit)

    def entries(self, tree: str) -> list[Entry]:
        """List every file of the tree, submodules included."""
        return list(_entries(self, tree))

    def _list(self, tree: str) -> list[Entry]:
        listing = self.plumb("ls-tree", "-r", "-z", "--full-tree", tree).out
        rows = (row.split(b"\t", 1) for row in listing.split(b"\0") if row)
        heads = ((os.fsdecode(head).split(), os.fsdecode(path)) for head, path in rows)
        return [Entry(path=path, mode=mode, oid=oid) for (mode, _, oid), path in heads]

    def read(self, revision: str, path: str) -> bytes | None:
        """Give the bytes of a file at a revision, or None where it has no such file."""
        answer = self.plumb_ask("cat-file", "blob", f"{revision}:{path}")
        return answer.out if answer.code == 0 else None

    def move(self, ref: str, *, new: str, old: str | None, reason: str) -> bool:
        """Move a ref by compare-and-swap; `old` None means that it must not exist. False when somebody was first.

        Raise GitError when the ref stands where it should and still cannot be moved (a lock that a crash left, a full disk).
        """
        arguments = (
            "update-ref",
            "--create-reflog",
            "-m",
            reason,
            ref,
            new,
            old if old is not None else "0" * len(new),
        )
        for pause in (*LOCK_PAUSES_S, None):
            answer = self.ask(*arguments)
            if answer.code == 0:
                return True
            if old is None or self.ask("rev-parse", "--verify", "--quiet", ref).text != old:
                return False
            if pause is not None:
                time.sleep(pause)  # whoever holds its lock may be about to move it
        checked(arguments, answer)
        return False

    def refs(self, *prefixes: str) -> dict[str, str]:
        listing = self.git("for-each-ref", "--format=%(refname) %(objectname)", *prefixes).text
        return dict(line.split(" ", 1) for line in listing.splitlines())

    def is_ancestor(self, old: str, new: str) -> bool:
        return self.plumb_ask("merge-base", "--is-ancestor", old, new).code == 0

    def identity(self) -> Identity:
        """Give the person's configured name and address; raise InputError where there is none."""
        return self._identity

    @cached_property
    def _identity(self) -> Identity:
        person = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        named = {k: v for k, v in os.environ.items() if k.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))}
        answer = call(["var", "GIT_AUTHOR_IDENT"], cwd=self.root, env={**person, **named})
        name, _, rest = answer.text.partition(" <")
        email = rest.partition(">")[0]
        if answer.code != 0 or not name or not email:
            raise InputError("git has no user.name and user.email here; set them with `git config user.name ...`")
        return Identity(name=name, email=email)

    def worktrees(self) -> list[tuple[Path, str]]:
        """List the person's worktrees with the ref that each has checked out (empty where detached)."""
        found: list[tuple[Path, str]] = []
        for block in os.fsdecode(self.git("worktree", "list", "--porcelain", "-z").out).split("\0\0"):
            fields = dict(line.partition(" ")[::2] for line in block.split("\0") if line)
            if "worktree" in fields and "prunable" not in fields and "bare" not in fields:
                found.append((Path(fields["worktree"]), fields.get("branch", "")))
        return found


@lru_cache(maxsize=1024)
def _tree(repository: Repository, commit: str) -> str:
    """A commit's tree never changes, and a run asks for the same one many times."""
    return _loose_tree(repository, commit) or repository.plumb("rev-parse", "--verify", f"{commit}^{{tree}}").text


def _loose_tree(repository: Repository, oid: str) -> str:
    """Read a commit that was written a moment ago without a process; "" where it is packed by now."""
    if not _ID.fullmatch(oid):
        return ""
    try:
        data = zlib.decompress((repository.common / "objects" / oid[:2] / oid[2:]).read_bytes())
    except (OSError, zlib.error):
        return ""
    head, _, body = data.partition(b"\0")
    line = body.partition(b"\n")[0]
    return line.removeprefix(b"tree ").decode() if head.startswith(b"commit ") and line.startswith(b"tree ") else ""


@lru_cache(maxsize=4)
def _entries(repository: Repository, tree: str) -> tuple[Entry, ...]:
    return tuple(repository._list(tree))  # noqa: SLF001 - the cached half of `entries`


def quoted(paths: Iterable[str]) -> bytes:
    """Join paths for commands that read them from standard input, NUL-separated."""
    return b"".join(os.fsencode(path) + b"\0" for path in paths)
