"""Runs the train of a target: asks the policy what to do now, has it done, and shows what is predicted.

Everything it knows can be had again: who waits is in the database, what was judged is kept by content, where the
target stands is in git. After a crash the next one begins with the same view and comes to the same decisions.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from memory.events import About
from memory.trains import Trains
from orchestrator.train import leaving
from orchestrator.train.cars import Clash, Mixed, Passed, Predictor
from orchestrator.train.landing import finish_interrupted, intend, move_target, obstacle, steps_of, watched
from orchestrator.train.model import Record, View
from orchestrator.train.outcomes import Later, Sent, Stuck
from orchestrator.train.policy import decide
from orchestrator.train.publishing import Publisher
from orchestrator.train.roster import Roster
from orchestrator.train.runs import Runs
from orchestrator.train.showing import Showing
from worktrees.engine import MergeEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.train.model import Candidate, Decision
    from orchestrator.workspace import Workspace


class Conductor:
    """Conducts the train of one target; `turn` is called again and again, by one thread of one process."""

    def __init__(self, workspace: Workspace, *, ring: Callable[[], None]) -> None:
        self._workspace, self.target = workspace, workspace.policy.project.target
        settings = workspace.policy.train
        self._slots = settings.slots or max(2, os.cpu_count() or 2)
        self._trains = Trains(workspace.database)
        with ExitStack() as stack:
            self._engine = stack.enter_context(MergeEngine(workspace.repository))
            self._runs = Runs(workspace, self._trains, slots=self._slots, ring=ring)
            stack.callback(self._runs.close)
            self._stack = stack.pop_all()
        self._predictor = Predictor(workspace, self._engine)
        self._roster = Roster(workspace, self._trains, self._predictor, self._engine)
        self._showing = Showing(workspace, self._trains)
        self._publisher = Publisher(workspace)
        self._record = Record.from_json(self._trains.record(self.target) or {})
        self._head = ""

    def close(self) -> None:
        """Cancel what is under way and let go of everything."""
        self._stack.close()

    def turn(self) -> bool:
        """Do all that can be done now; say whether anything changed, so that there may be more to do."""
        changed = self._runs.collect()
        self._look()
        changed = self._send_back_conflicts() or changed
        decision = decide(self._view())
        if self._record != decision.record:
            self._record = decision.record
            self._trains.keep_record(self.target, decision.record.to_json())
        changed = self._carry_out(decision) or changed
        self._showing.show(self._head, self._roster.cars, self._told(decision), self._runs, slots=self._slots)
        return changed

    def _told(self, decision: Decision) -> Decision:
        """Say of those that could land why they have not yet."""
        why = self._publisher.waits
        held = {name: why for candidate in decision.land for name in candidate.members}
        return replace(decision, reasons={**decision.reasons, **held}) if why else decision

    def _about(self, tickets: Sequence[str]) -> About:
        return self._workspace.records.ticket(tickets[-1]).about

    def _look(self) -> None:
        self._publisher.follow()
        self._look_at_head()
        self._roster.look(self.target)
        if self._roster.cars and self._publisher.trouble:
            self._publisher.follow(now=True)  # a person may have put it right
            self._look_at_head()
            self._roster.look(self.target)
            if trouble := self._publisher.trouble:
                self._hold(list(self._roster.cars), trouble)

    def _look_at_head(self) -> None:
        head = self._workspace.head()
        if head != self._head:  # moved by somebody else: a person, or a leader before us that had been asleep
            finish_interrupted(self._workspace)
            self._runs.forget()
            self._predictor.forget(head)
            self._head = head

    def _send_back_conflicts(self) -> bool:
        found = self._roster.unmergeable(self._head)
        for one in found:
            leaving.conflicting(self._workspace, one.car, one.clash)
            self._roster.leave(one.car.id, f"conflicts with {self.target}: {', '.join(one.clash.conflict.paths)}")
        return bool(found)

    def _view(self) -> View:
        settings = self._workspace.policy.train
        return View(
            waiting=self._roster.changes(),
            known={candidate: judgement.tally for candidate, (_, judgement) in self._runs.known.items()},
            running=frozenset(self._runs.running),
            slots=max(0, self._slots - self._runs.fading) if settings.speculate else 1,
            record=self._record,
            max_window=settings.window if settings.speculate else 1,
            max_batch=settings.batch,
            failing=self._runs.failing,
        )

    # what was decided

    def _carry_out(self, decision: Decision) -> bool:
        self._runs.cancel(decision.cancel)
        for ticket, why in decision.unjudged.items():
            leaving.unjudged(self._workspace, self._roster.cars[ticket], why)
            self._roster.leave(ticket, why)
        for ticket, why in decision.evict.items():
            self._evict(ticket, why)
        changed = bool(decision.unjudged or decision.evict)
        if decision.land:
            return self._land(decision.land) or changed
        news = [self._start(candidate) for candidate in decision.start]
        return any(news) or changed

    def _start(self, candidate: Candidate) -> bool:
        """Have a candidate judged; say whether there is something new to decide on at once."""
        ahead, members = ([self._roster.cars[name] for name in part] for part in (candidate.ahead, candidate.members))
        try:
            made = self._predictor.predict(self._head, ahead, members)
        except Mixed:
            self._roster.tie(candidate.members)
            return True
        if isinstance(made, Clash):
            self._roster.clash((made.ticket, made.ahead))
            return True
        data = {"changes": candidate.members, "ahead": candidate.ahead, "tree": made.tree, "on": made.before}
        self._workspace.records.note("train.predicted", self._about(candidate.members), data)
        return self._runs.start(candidate, made)

    def _evict(self, ticket: str, why: str) -> None:
        found = [
            (candidate, judgement)
            for candidate, (_, judgement) in self._runs.known.items()
            if judgement.verdict == "fail" and ticket in candidate.members
        ]
        _, judgement = min(found, key=lambda one: len(one[0].changes))
        report = judgement.reports[ticket]
        leaving.refused(self._workspace, self._roster.cars[ticket], report, why)
        self._roster.leave(ticket, why)
        if finding := leaving.red_before(report):
            self._stop(finding)

    def _stop(self, finding: str) -> None:
        """Stop the train: what fails is on the target already, and no ticket is to blame."""
        self._workspace.records.note("train.stopped", About(), {"target": self.target, "finding": finding})
        reason = f"the train stopped, because {self.target} itself is red: {finding}; mend it"
        self._hold(list(self._roster.cars), reason)

    def _hold(self, tickets: Sequence[str], reason: str) -> None:
        """Let these wait for a person; what was predicted with them is gone."""
        self._runs.forget()
        for car in [self._roster.cars[ticket] for ticket in tickets]:
            told = f"{reason}, then `orchestrate resume {car.row.feature}`"
            leaving.held(self._workspace, car, told)
            self._roster.leave(car.id, told)

    def _land(self, prefix: Sequence[Candidate]) -> bool:
        if self._publisher.waits:
            return False
        # of a ticket that waited for a person after its landing had begun: the remote had it by then
        if self._workspace.policy.landing.remote and finish_interrupted(self._workspace):
            self._runs.forget()
            return True
        passed = [
            Passed(prediction=made, reports=said.reports, hashes=said.hashes)
            for made, said in map(self._runs.known.__getitem__, prefix)
        ]
        steps = steps_of(self._workspace, self._engine, self._predictor, self._head, passed)
        if not steps:  # what is known of it is of another tree: it is judged anew
            self._runs.known.pop(prefix[0])
            return True
        watching = watched(self._workspace, steps)
        if in_the_way := obstacle(self._workspace, steps, watching):
            for row in in_the_way.step.rows:
                leaving.held(self._workspace, self._roster.cars[row.id], in_the_way.reason)
                self._roster.leave(row.id, in_the_way.reason)
            return True
        intend(self._workspace, steps)
        published = self._publisher.publish(steps)
        if isinstance(published, Stuck):
            refused = [row.id for row in steps[0].rows]
            self._hold(list(self._roster.cars) if published.everybody else refused, published.reason)
        if not isinstance(published, Sent):
            return not isinstance(published, Later)
        # fewer are made where somebody else moved the target: the next turn sees where to
        if self._workspace.policy.landing.remote:  # a person may have checked the target out while it was pushed
            watching = watched(self._workspace, published.steps)
        made = move_target(self._workspace, published.steps, watching)
        landed = tuple(row.id for step in made for row in step.rows)
        for ticket in landed:
            self._roster.leave(ticket, "landed")
        self._runs.moved(landed)
        self._head = made[-1].new if made else self._head
        self._publisher.share_reports()
        return True
