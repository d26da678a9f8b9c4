"""System calls of the harness and of its git that fail, or take their time."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from faults_place import Wish
from faults_round import Tally, round_of

if TYPE_CHECKING:
    from faults_round import Round
    from faults_starter import Starter

RUNS = 2
MARKS = {"(INJECTED)": "failed", "(DELAYED)": "delayed"}
DELAY_US = 20_000


@dataclass(frozen=True, kw_only=True)
class Calls:
    """System calls that do the same, and where in a process it is worth while to fail them."""

    names: str
    errors: str
    furthest: int
    """The call of that number in one process or thread is the last that is tried."""
    first: int = 1


TABLE = (
    Calls(names="fsync,fdatasync,syncfs", errors="EIO ENOSPC EINTR", furthest=12),
    Calls(names="pwrite64,ftruncate", errors="EIO ENOSPC EROFS", furthest=60),
    Calls(names="write,writev", errors="EIO ENOSPC", first=3, furthest=60),
    Calls(names="pread64,read", errors="EIO EINTR", first=20, furthest=400),
    Calls(names="rename,renameat,renameat2", errors="EIO ENOSPC EROFS", furthest=6),
    Calls(names="openat,open", errors="EMFILE ENFILE EIO ENOSPC EROFS EINTR", first=12, furthest=500),
    Calls(names="mkdir,mkdirat", errors="ENOSPC EIO EROFS", furthest=12),
    Calls(names="unlink,unlinkat,rmdir", errors="EIO EROFS", furthest=20),
    Calls(names="link,linkat,symlink,symlinkat", errors="EIO ENOSPC EROFS", furthest=4),
    Calls(names="fcntl,flock", errors="EIO ENOLCK EINTR", first=4, furthest=200),
    Calls(names="clone,clone3,vfork,fork,execve", errors="EAGAIN ENOMEM", first=2, furthest=30),
    Calls(names="mmap,brk", errors="ENOMEM", first=60, furthest=400),
)


@cache
def trouble() -> str:
    """Say why system calls cannot be made to fail here; empty where they can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    probe = (
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
        "-e",
        "inject=fsync:error=EIO:when=1",
        "true",
    )
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return f"strace cannot be used here: {done.stderr.strip()[:200]}" if done.returncode else ""


def calls(starter: Starter, seed: int) -> Tally:
    """Let calls of a kind fail in every process and thread, in one run after the other; then let it end."""
    with round_of(starter, "calls", seed, Wish(keys="ab", sandbox="auto" if seed % 4 == 3 else "none")) as here:
        for run in range(RUNS):
            log = here.place.folder / f"calls-{run}.log"
            here.under = (
                "strace",
                "-f",
                "-qq",
                "--seccomp-bpf",
                "-o",
                str(log),
                *_options(here, TABLE[seed % len(TABLE)]),
            )
            _disturbed(here)
            here.under = ()
            said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            for mark, name in MARKS.items():
                here.tally.faults[name] += said.count(mark)
            here.starter.sweep()  # a helper that could not be started properly may wait for ever; its owner is gone
        here.finish()
        here.retry()
        here.judge()
    return here.tally


def _options(here: Round, group: Calls) -> tuple[str, ...]:
    """Fail one call of each process, or every so many from one on, or make every so many slow."""
    when = str(here.dice.randint(group.first, group.furthest))
    again = f"{when}+{here.dice.randint(2, group.furthest)}"
    how = here.dice.choices(("once", "again", "slow"), (3, 5, 2))[0]
    error = f"error={here.dice.choice(group.errors.split())}"
    effect = {
        "once": f"{error}:when={when}",
        "again": f"{error}:when={again}",
        "slow": f"delay_enter={DELAY_US}:when={again}",
    }
    return ("-e", f"trace={group.names}", "-e", f"inject={group.names}:{effect[how]}")


def _disturbed(here: Round) -> None:
    """Whatever it comes to, it has to end by itself."""
    for row in here.place.rows("SELECT id FROM tickets WHERE state IN ('failed', 'rejected')")[:1]:
        here.end(here.start("tickets", "retry", row["id"]))
    here.end(here.go_on())
