"""A yard for the train: tickets whose changes are made and passed in their own trees already, ready to board."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents.causes import Cause
from agents.protocol import Outcome
from agents.reports import markdown
from orchestrator.train.station import Station
from orchestrator.workspace import Workspace
from tickets.model import Command, Draft, Scope
from tickets.plan import Plan
from tickets.states import State
from worktrees.changes import between

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo_project import Demo

QUIET = """version = 1
[project]
name = "yard"
[tests]
run = []
"""
"""A policy whose gates run nothing but what is added to it."""


@dataclass
class Yard:
    demo: Demo
    workspace: Workspace
    fates: dict[str, str] = field(default_factory=dict)
    """What became of each ticket that boarded."""

    @classmethod
    def of(cls, demo: Demo, policy: str = QUIET, **files: str) -> Yard:
        demo.commit("set the yard up", **{"orchestrate.toml": policy, **files})
        workspace = Workspace.open(demo.root)
        workspace.prepare()
        return cls(demo=demo, workspace=workspace)

    def commit(self, base: str, files: Mapping[str, str | None]) -> str:
        """Write a commit on `base` with these files, None for one that goes; nothing is checked out."""
        index = {"GIT_INDEX_FILE": str(self.demo.home / f"index-{time.monotonic_ns()}")}
        ask = self.workspace.repository.git
        ask("read-tree", base, env=index)
        for path, text in files.items():
            if text is None:
                ask("update-index", "--force-remove", path, env=index)
                continue
            blob = ask("hash-object", "-w", "--stdin", stdin=text.encode()).text
            ask("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
        tree = ask("write-tree", env=index).text
        person = self.workspace.repository.identity().environment()
        return ask("commit-tree", tree, "-p", base, "-m", "work", env=person).text

    def queue(
        self, *changes: Mapping[str, str | None], base: str = "", checks: Mapping[int, str] | None = None
    ) -> list[str]:
        """Make one feature of these changes, each a ticket that passed in its own tree; `checks` are acceptance lines by place."""
        base = base or self.workspace.head()
        there = {entry.path for entry in self.workspace.repository.entries(self.workspace.repository.tree(base))}
        drafts = [_draft(place, files, there, (checks or {}).get(place, "")) for place, files in enumerate(changes)]
        plan = Plan(request="changes that are made", tickets=tuple(drafts))
        records = self.workspace.records
        feature = records.add_feature(plan.request, options={}, target="main", before=base)
        tickets = records.set_plan(feature, plan)
        for ticket, files in zip(tickets, changes, strict=True):
            self._made(ticket, base, files)
        return tickets

    def _made(self, ticket: str, base: str, files: Mapping[str, str | None]) -> None:
        records, repository = self.workspace.records, self.workspace.repository
        done = between(repository, base, self.commit(base, files))
        records.start_attempt(ticket, base=base, start=base, worktree="")
        (attempt,) = records.attempts(ticket)
        listed = "\n".join(f"- {path}: as asked" for path in files)
        sections = {"files_changed": listed, **dict.fromkeys(("summary", "verification", "risks_edge_cases"), "none")}
        said = markdown({**sections, "out_of_scope_issues_found": "none"}, ())
        outcome = Outcome(ending="done", reason="", report=said, transcript="", cause=Cause.DONE)
        records.set_attempt(attempt, "passed", outcome={**outcome.to_json(), "agent": "actor"}, changes=done.to_json())
        records.move(ticket, State.VERIFYING, head=done.commit)
        records.move(ticket, State.QUEUED, head=done.commit, verdict="pass")

    def run(self, *tickets: str, seconds: float = 60) -> dict[str, str]:
        """Let the tickets ride until the fate of each is known; give their fates."""
        station = Station(self.workspace)
        station.open()
        riders = [threading.Thread(target=self._ride, args=(station, ticket), daemon=True) for ticket in tickets]
        for rider in riders:
            rider.start()
        deadline = time.monotonic() + seconds
        for rider in riders:
            rider.join(max(0.0, deadline - time.monotonic()))
        station.close()
        assert not any(rider.is_alive() for rider in riders), f"the train stands still: {self.fates}"
        return {ticket: self.fates[ticket] for ticket in tickets}

    def _ride(self, station: Station, ticket: str) -> None:
        try:
            self.fates[ticket] = station.board(ticket)
        finally:
            self.workspace.database.close()

    def landed(self, before: str) -> list[list[str]]:
        """List the tickets of each commit on the target since then, oldest first."""
        form = "--format=%(trailers:key=Ticket,valueonly,separator=%x20)"
        lines = self.demo.git("log", "--first-parent", "--reverse", form, f"{before}..main").splitlines()
        return [line.split() for line in lines]

    def events(self, kind: str) -> list[dict[str, Any]]:
        from memory.events import read

        return [event.data for event in read(self.workspace.database) if event.kind == kind]

    def assert_never_red(self, before: str) -> None:
        """Each first-parent commit is a tree that passed, and the archive is whole."""
        passed = {
            report["tree"]
            for row in self.workspace.records.tickets()
            for report in self.workspace.records.reports(row.id)
            if report["verdict"] == "pass" and report["pass"] == "integrated"
        }
        for commit in self.demo.git("rev-list", "--first-parent", f"{before}..main").split():
            assert self.demo.git("rev-parse", f"{commit}^{{tree}}") in passed
        assert self.demo.git("fsck", "--no-dangling", "--no-progress") == ""


def _draft(place: int, files: Mapping[str, str | None], there: set[str], check: str) -> Draft:
    return Draft(
        key=f"c{place}",
        title=f"change {place}",
        objective=f"Make change {place}.",
        non_goals=("anything else",),
        scope=Scope(
            write=tuple(path for path in files if path in there), new=tuple(path for path in files if path not in there)
        ),
        acceptance=(Command(run=check, timeout_s=60),) if check else (),
    )
