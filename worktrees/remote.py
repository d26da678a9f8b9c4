"""The one door from git to the network: the person's own remotes and credentials, time-outs, no questions, typed answers.

Everything else that speaks to git does without a network and without the person's configuration. Here both are needed:
addresses, proxies, keys and helpers for passwords are the person's. Hooks stay off: what is pushed was judged, and a
program of the repository would run outside the sandbox.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickets.errors import InputError
from worktrees.git import NEUTRAL, Result, environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worktrees.git import Repository

TIMEOUT_S = 120.0
LOOK_S = 30.0
"""For a question that brings no objects."""
SHOWN = 3
"""Lines of git's complaint that a person is shown."""
PERSONS = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "GIT_CONFIG_GLOBAL"),
        *("SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "KRB5CCNAME", "DBUS_SESSION_BUS_ADDRESS"),
        *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"),
        *("GH_TOKEN", "GITHUB_TOKEN", "GH_HOST", "GH_CONFIG_DIR"),
    }
)
"""Variables that say how this person reaches a remote; a helper for passwords may read the last of them."""
_WHO = re.compile(r"(\w://)[^/@\s]+@")
# which protocols are allowed is the person's word here, or else git's own careful default
_OPTIONS = tuple(word for setting in NEUTRAL if not setting.startswith("protocol.") for word in ("-c", setting))


@dataclass(frozen=True, kw_only=True)
class Done:
    """The remote has what was pushed, or we have what was fetched."""


@dataclass(frozen=True, kw_only=True)
class Overtaken:
    """Somebody else was first: a ref of the remote is not where the lease has it. Nothing was changed there."""

    heads: Mapping[str, str]
    """What the remote holds now under the names that were leased; a name that it does not have is left out."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The remote said no, and would say it again: a rule for the branch, a hook, a permission."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """No answer, or none that can be understood; what was asked for may have happened all the same."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """How to speak with one remote."""

    repository: Repository
    remote: str
    timeout_s: float = field(default=TIMEOUT_S)

    def check(self) -> None:
        """Raise InputError where the repository knows no such remote: git would take the name for a folder's."""
        known = self.repository.git("remote").text.splitlines()
        if self.remote not in known:
            there = ", ".join(known) or "none"
            raise InputError(
                f"there is no git remote {self.remote!r} (remotes: {there}); git remote add {self.remote} URL"
            )

    @property
    def address(self) -> str:
        """Where pushes go, as the person's configuration has it; it may hold a password."""
        return self._ask("remote", "get-url", "--push", self.remote).text

    def heads(self, *refs: str) -> dict[str, str] | Unreachable:
        """Ask what the remote holds under these names; those that it does not have are left out."""
        answer = self._ask("ls-remote", "--quiet", self.remote, *refs)
        if answer.code:
            return Unreachable(reason=complaint(answer))
        pairs = (line.split("\t", 1) for line in answer.text.splitlines())
        return {name: commit for commit, name in pairs if name in refs}

    def fetch(self, *refspecs: str) -> Done | Unreachable:
        """Bring refs here: all of them or none."""
        arguments = (
            "--atomic",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
        )
        answer = self._ask("fetch", "--quiet", *arguments, self.remote, *refspecs)
        return Unreachable(reason=complaint(answer)) if answer.code else Done()

    def push(self, refspecs: Sequence[str], *, leases: Mapping[str, str]) -> Done | Overtaken | Refused | Unreachable:
        """Move refs there, all of them or none, only from where the leases have them: an empty one for a name that must be new.

        Repeating a push that had arrived is Done again.
        """
        held = [f"--force-with-lease={ref}:{old}" for ref, old in leases.items()]
        quiet = ("--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed")
        answer = self._ask("push", "--atomic", *quiet, *held, self.remote, *refspecs)
        if not answer.code:
            return Done()
        # the words of a refusal differ from server to server; where the refs are now does not
        now = self.heads(*leases)
        if isinstance(now, Unreachable):
            return now
        if any(now.get(ref, "") != old for ref, old in leases.items()):
            return Overtaken(heads=now)
        noes = _noes(answer)
        return Refused(reason="; ".join(noes)) if noes else Unreachable(reason=complaint(answer))

    def _ask(self, *arguments: str) -> Result:
        git = self.repository
        persons = {name: value for name, value in os.environ.items() if name in PERSONS}
        env = {**environment({"GIT_DIR": str(git.common)}), "GIT_CONFIG_NOSYSTEM": "0", "SSH_ASKPASS_REQUIRE": "never"}
        if "GIT_CONFIG_GLOBAL" not in persons:
            del env["GIT_CONFIG_GLOBAL"]
        patience = min(self.timeout_s, LOOK_S) if arguments[0] == "ls-remote" else self.timeout_s
        return bounded(["git", *_OPTIONS, *arguments], git.root, {**env, **persons}, timeout_s=patience)


def bounded(command: Sequence[str], folder: os.PathLike[str], env: Mapping[str, str], *, timeout_s: float) -> Result:
    """Run a program of the person's that may use the network; one that does not answer in time is ended with all it started.

    The session of its own takes it off the terminal: nothing that it starts can ask there for a password.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise InputError(f"{command[0]} could not be started: {error.strerror}") from error
    with process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Result(code=-signal.SIGKILL, out=b"", err=f"no answer within {timeout_s:g} s".encode())
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Result(code=process.returncode, out=out, err=err)


def complaint(answer: Result) -> str:
    """Give what a program said when it failed, for a person, without passwords that an address may hold."""
    lines = [line.strip() for line in os.fsdecode(answer.err).splitlines() if line.strip()]
    hints = ("hint:", "Please make sure", "and the repository exists")
    said = [line.removeprefix("fatal: ").removeprefix("error: ") for line in lines if not line.startswith(hints)]
    return _WHO.sub(r"\1", "; ".join(said[:SHOWN])) or f"exit code {answer.code}"


def _noes(answer: Result) -> list[str]:
    """List the refs that the remote refused, each with its reason, and what its hooks printed."""
    rows = [line.split("\t") for line in os.fsdecode(answer.out).splitlines() if line.startswith("!")]
    said = [f"{row[1].rpartition(':')[2].removeprefix('refs/heads/')} {row[2]}" for row in rows if len(row) > 2]  # noqa: PLR2004 - flag, names, reason
    told = [
        line.removeprefix("remote:").strip()
        for line in os.fsdecode(answer.err).splitlines()
        if line.startswith("remote:")
    ]
    return [*said, *[line for line in told if line][:SHOWN]] if said else []
