"""The hosting service of a remote, through `gh`: pull requests, their checks, and merging them."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickets.errors import InputError, SignalboxError
from worktrees.remote import PERSONS, bounded, complaint

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.workspace import Workspace
    from worktrees.remote import Line

TIMEOUT_S = 120.0
CONTEXT = "signalbox"
"""Name of the check on a commit; a rule for the branch may require it."""
BODY_BYTES = 60_000
"""Of a pull request's text; the service takes 65,536 characters, and one word of a command line has twice that in bytes."""
# "git@host:owner/name.git" and "https://user@host/owner/name"; a folder on this machine is neither
_PLACE = re.compile(r"^(?:\w+://)?(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+/|[:/])(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?$")


class HostError(SignalboxError):
    """The hosting service, or the way to it, said no."""


@dataclass(frozen=True, kw_only=True)
class Request:
    number: int
    url: str


@dataclass(frozen=True, kw_only=True)
class Text:
    """What people read of a request, and of its merge commit."""

    title: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Host:
    command: tuple[str, ...]
    folder: Path
    place: str
    """`host/owner/name`; empty where the address does not say it and the client has to find out."""

    @classmethod
    def of(cls, workspace: Workspace, line: Line) -> Host:
        return cls(command=workspace.policy.landing.gh, folder=workspace.root, place=place_of(line.address))

    def check(self) -> None:
        """Raise InputError where the client cannot be started, or nobody is signed in with it."""
        if shutil.which(self.command[0]) is None:
            raise InputError(
                f"{self.command[0]} was not found, and landings go by pull requests here: "
                "install it (https://cli.github.com), or name it as gh = [...] under [landing] in orchestrate.toml"
            )
        try:
            self._ask("auth", "status", *(("--hostname", self.place.partition("/")[0]) if self.place else ()))
        except HostError as error:
            raise InputError(f"{error}; sign in first (gh auth login)") from error

    def request(self, branch: str, target: str) -> Request | None:
        """Find the open request of a branch."""
        fields = ("--json", "number,url", "--limit", "1")
        said = self._ask("pr", "list", "--head", branch, "--base", target, "--state", "open", *fields)
        found = _parsed(said)
        return Request(number=int(found[0]["number"]), url=str(found[0]["url"])) if found else None

    def open(self, branch: str, target: str, text: Text) -> Request:
        """Open a request, or give the one that is open the text of now."""
        body = _cut(text.body)
        if request := self.request(branch, target):
            # not `pr edit`: it asks for projects as well, which many tokens may not read
            place = f"repos/{{owner}}/{{repo}}/pulls/{request.number}"
            self._ask("api", "--silent", "--method", "PATCH", place, "-f", f"title={text.title}", "-f", f"body={body}")
            return request
        self._ask("pr", "create", "--head", branch, "--base", target, "--title", text.title, "--body", body)
        request = self.request(branch, target)
        if request is None:
            raise HostError(f"the pull request of {branch} was opened, and is not to be found")
        return request

    def approve(self, commit: str, said: str) -> None:
        """Put a passed check on the commit."""
        fields = {"state": "success", "context": CONTEXT, "description": said[:140]}
        words = [word for name, value in fields.items() for word in ("-f", f"{name}={value}")]
        self._ask("api", "--silent", f"repos/{{owner}}/{{repo}}/statuses/{commit}", *words)

    def merge(self, request: Request, method: str, commit: str, text: Text) -> None:
        """Merge the request as long as it is still this commit."""
        words = () if method == "rebase" else ("--subject", text.title, "--body", text.body)
        self._ask("pr", "merge", str(request.number), f"--{method}", "--match-head-commit", commit, *words)

    def _ask(self, *arguments: str) -> str:
        own = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
        if self.place:
            own["GH_REPO"] = self.place
        names = PERSONS | {"PATH", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"}
        env = {name: value for name, value in os.environ.items() if name in names}
        answer = bounded([*self.command, *arguments], self.folder, {**env, **own}, timeout_s=TIMEOUT_S)
        if answer.code:
            raise HostError(f"{self.command[0]} {' '.join(arguments[:2])}: {complaint(answer)}")
        return answer.text


def place_of(address: str) -> str:
    """Read `host/owner/name` out of a remote's address; empty where it does not say it."""
    if "://" not in address and ("/" in address.partition(":")[0] or ":" not in address):
        return ""  # a folder
    found = _PLACE.match(address)
    return f"{found['host']}/{found['name']}" if found else ""


def _parsed(said: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(said or "[]")
    except json.JSONDecodeError as error:
        raise HostError(f"the hosting service's answer was no JSON: {said[:80]!r}") from error
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _cut(body: str) -> str:
    data = body.encode()
    if len(data) <= BODY_BYTES:
        return body
    return data[:BODY_BYTES].decode(errors="ignore").rpartition("\n")[0] + "\n\n(The report is longer than fits here.)"
