"""A target that a remote holds: landings are pushed there first, with a lease, and the local branch follows.

The remote decides who was first. Nothing here is forced: where it is ahead the local branch follows it, where the two
have gone apart a person decides, and where it cannot be reached the tickets wait.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from memory.events import About
from orchestrator.hosting import Host
from orchestrator.train.landing import NOTES, bring_along, in_the_way
from orchestrator.train.outcomes import Behind, Later, Sent, Stuck
from orchestrator.train.pull_requests import PullRequests
from tickets.errors import InputError
from worktrees.durable import sync
from worktrees.following import followers
from worktrees.landing import Step as Move
from worktrees.landing import land
from worktrees.remote import Done, Line, Overtaken, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.train.landing import Step
    from orchestrator.train.outcomes import Published
    from orchestrator.workspace import Workspace

FOLLOW_S = 30.0
"""Between looks at the remote while nothing is pushed; twice as long after each that nobody answered."""
LONGEST_S = 480.0
PAUSES_S = (1.0, 4.0, 15.0, 60.0)
"""Before each further try of a landing that did not get through; then its tickets wait for a person."""
THEIR_NOTES = "refs/notes/orchestrate-of-"


def check(workspace: Workspace) -> None:
    """Raise InputError where landings could not go the way that the policy names: no such remote, no client of its service."""
    policy = workspace.policy
    if policy.landing.remote:
        line = Line(repository=workspace.repository, remote=policy.landing.remote)
        line.check()
        if policy.landing.by_pull_request(policy.project.target):
            Host.of(workspace, line).check()


def meet(workspace: Workspace) -> None:
    """Let the local target follow before anything is started and paid for; raise InputError where nothing could land afterwards."""
    check(workspace)
    publisher = Publisher(workspace)
    publisher.follow(now=True)
    if publisher.trouble:
        raise InputError(f"{publisher.trouble}; nothing was started")


class Publisher:
    """One for each conductor; without a remote everything is published that is asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._target = workspace, workspace.policy.project.target
        landing = workspace.policy.landing
        self._remote = landing.remote
        self._line = Line(repository=workspace.repository, remote=landing.remote)
        self._requests = PullRequests(workspace, self._line) if landing.by_pull_request(self._target) else None
        self._next_look, self._pause = 0.0, FOLLOW_S
        self._tries, self._not_before = 0, 0.0
        self._said = ""
        self.trouble = ""
        """Why nothing can land until a person has done something; empty where all is well."""

    @property
    def waits(self) -> str:
        """Say why the next try of a landing is not due yet; empty where it is."""
        return self._said if time.monotonic() < self._not_before else ""

    # the local target follows

    def follow(self, *, now: bool = False) -> None:
        """Look where the remote is, where that is due, and let the local target follow it."""
        if not self._remote or not (now or time.monotonic() >= self._next_look):
            return
        found = self._line.heads(self._ref)
        silent = isinstance(found, Unreachable)
        self._pause = min(self._pause * 2, LONGEST_S) if silent else FOLLOW_S
        self._next_look = time.monotonic() + self._pause
        if isinstance(found, Unreachable):
            self._tell(f"{self._remote} cannot be reached: {found.reason}")
            return
        self.trouble = self._followed(found.get(self._ref, ""))

    @property
    def _ref(self) -> str:
        return f"refs/heads/{self._target}"

    def _followed(self, theirs: str) -> str:
        ours, repository = self._workspace.head(), self._workspace.repository
        if theirs == ours:
            return ""
        if not theirs:
            return f"{self._remote} has no branch {self._target!r}; push it (git push {self._remote} {self._target})"
        got = self._line.fetch(f"+{self._ref}:refs/orchestrate/remotes/{self._remote}/{self._target}")
        if isinstance(got, Unreachable):
            self._tell(f"{self._remote} cannot be reached: {got.reason}")
            return ""
        if repository.is_ancestor(ours, theirs):
            return self._move(ours, theirs)
        if repository.is_ancestor(theirs, ours):
            return (
                f"{self._target} has commits here that {self._remote} does not have; "
                f"push them (git push {self._remote} {self._target}) or take them back"
            )
        return (
            f"{self._target} here ({ours[:12]}) and on {self._remote} ({theirs[:12]}) have gone apart; "
            f"bring yours onto theirs (git rebase {self._remote}/{self._target})"
        )

    def _move(self, ours: str, theirs: str) -> str:
        workspace = self._workspace
        watching = followers(workspace.repository, self._target, old=ours, new=theirs)
        if reason := in_the_way(self._target, watching):
            return reason
        sync(workspace.repository.common)
        move = Move(old=ours, new=theirs, reason=f"orchestrate: follow {self._remote}")
        if land(workspace.repository, self._target, [move]):
            data = {"target": self._target, "remote": self._remote, "old": ours, "new": theirs}
            workspace.records.note("train.followed", About(), data)
            bring_along(workspace, watching, old=ours, new=theirs, about=About())
        return ""

    # a landing

    def publish(self, steps: Sequence[Step]) -> Published:
        """Bring the steps to the remote; they are on disk and in the journal. Give those that stand there now, or what happened instead."""
        if not self._remote:
            return Sent(steps=tuple(steps))
        said = self._requests.publish(steps[0]) if self._requests else self._push(steps)
        if isinstance(said, Later):
            return self._later(said.reason)
        if isinstance(said, Behind):
            self.follow(now=True)
        if isinstance(said, Sent):
            self._tries, self._said = 0, ""
        return said

    def _push(self, steps: Sequence[Step]) -> Published:
        old, new = steps[0].old, steps[-1].new
        said = self._line.push([f"{new}:{self._ref}"], leases={self._ref: old})
        if isinstance(said, Overtaken):
            return Behind()
        if isinstance(said, Refused):
            return Stuck(reason=f"{self._remote} refused the landing on {self._target}: {said.reason}", everybody=True)
        if isinstance(said, Unreachable):
            return Later(reason=f"{self._remote} cannot be reached: {said.reason}")
        for step in steps:
            for row in step.rows:
                data = {"remote": self._remote, "target": self._target, "old": step.old, "new": step.new}
                self._workspace.records.note("landing.pushed", row.about, data)
        return Sent(steps=tuple(steps))

    def _later(self, reason: str) -> Published:
        if self._tries >= len(PAUSES_S):
            self._tries, self._not_before = 0, 0.0
            return Stuck(
                reason=f"{reason}; nothing is lost, and it was tried {len(PAUSES_S) + 1} times", everybody=True
            )
        pause = PAUSES_S[self._tries]
        self._tries, self._not_before = self._tries + 1, time.monotonic() + pause
        self._tell(f"{reason}; the landing is tried again in {pause:g} s")
        return Later(reason=reason)

    def _tell(self, said: str) -> None:
        """Tell trouble once, until it is another one."""
        if said != self._said:
            self._said = said
            self._workspace.records.note("train.trouble", About(), {"reason": said})

    # the reports

    def share_reports(self) -> None:
        """Push the notes with the reports. They are no part of a landing: what keeps them here goes with the next one."""
        if not self._remote:
            return
        said = self._shared()
        if not isinstance(said, Done):
            why = "others pushed theirs meanwhile" if isinstance(said, Overtaken) else said.reason
            self._tell(f"the reports were not pushed to {self._remote} ({why}); they go with the next landing")

    def _shared(self) -> Done | Overtaken | Refused | Unreachable:
        found = self._line.heads(NOTES)
        if isinstance(found, Unreachable):
            return found
        theirs, repository = found.get(NOTES, ""), self._workspace.repository
        if theirs and repository.refs(NOTES).get(NOTES) != theirs:
            kept = f"{THEIR_NOTES}{self._remote}"
            got = self._line.fetch(f"+{NOTES}:{kept}")
            if isinstance(got, Unreachable):
                return got
            person = repository.identity().environment()
            repository.git("notes", f"--ref={NOTES}", "merge", "--quiet", "--strategy=ours", kept, env=person)
        return self._line.push([f"{NOTES}:{NOTES}"], leases={NOTES: theirs})
