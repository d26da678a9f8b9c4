"""What the train does now, decided anew from one view at every event. Pure: the same view gives the same decision.

First leaves who is at fault by itself; then the longest passing prefix lands, and who fails right behind it leaves. Only where nothing
lands or leaves, runs are started and cancelled. A change lands by a pass of that very candidate on the present head, and is evicted only by
a failure of the head with nothing but that change on top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.train import places, telling
from orchestrator.train.knowledge import Knowledge, is_guilty, is_settled
from orchestrator.train.model import Candidate, Decision
from orchestrator.train.speculation import plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.train.model import View
    from orchestrator.train.speculation import Plan


def decide(view: View) -> Decision:
    """Say what is to be done now; what lands or leaves makes a new view, so that the next decision starts runs."""
    knowledge = Knowledge(view)
    if blamed := _blamed(knowledge):
        return _settled(knowledge, (), blamed, {})
    land = _passing(knowledge)
    evict, unjudged = _leaving(knowledge, land)
    if land or evict or unjudged:
        return _settled(knowledge, land, evict, unjudged)
    return _under_way(knowledge)


# landing and leaving


def _blamed(knowledge: Knowledge) -> dict[str, str]:
    names = {name for tally in knowledge.view.known.values() for name in tally.blamed}
    return dict.fromkeys(sorted(names & knowledge.changes.keys()), "its own change is refused, whatever the others do")


def _passing(knowledge: Knowledge) -> tuple[Candidate, ...]:
    """Give the longest chain of candidates that passed, each right behind the one before, from the head on."""
    return _longest(knowledge, (), knowledge.record.places)


def _longest(knowledge: Knowledge, ahead: tuple[str, ...], rest: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Of chains that reach as far, take the one of more commits."""
    rest = knowledge.compatible(ahead, rest)
    chains = [
        (Candidate(ahead, rest[:size]), *_longest(knowledge, (*ahead, *rest[:size]), rest[size:]))
        for size in knowledge.passes_behind(ahead, rest)
    ]
    return max(chains, key=lambda chain: (len(chain[-1].changes), len(chain)), default=())


def _leaving(knowledge: Knowledge, land: tuple[Candidate, ...]) -> tuple[dict[str, str], dict[str, str]]:
    """Find who cannot land right behind what lands: everything else in that tree has passed, so it is nobody else's fault."""
    evict: dict[str, str] = {}
    unjudged: dict[str, str] = {}
    head = land[-1].changes if land else ()
    for name in knowledge.record.places:
        tally = knowledge.tallies.get((*head, name))
        if name in head or tally is None or tally.passes or not is_settled(tally):
            continue
        if is_guilty(tally):
            evict[name] = telling.guilty(tally, head)
        else:
            unjudged[name] = (
                f"it could not be judged in {tally.inconclusive} tries; the last report says what stood in the way"
            )
    return evict, unjudged


def _settled(
    knowledge: Knowledge, land: tuple[Candidate, ...], evict: Mapping[str, str], unjudged: Mapping[str, str]
) -> Decision:
    view = knowledge.view
    landed = land[-1].changes if land else ()
    gone = {*landed, *evict, *unjudged}
    record = places.learned(
        knowledge.record,
        landed=[knowledge.changes[name] for name in landed],
        guilty=[knowledge.changes[name] for name in evict],
        most=view.max_window,
    )
    doomed = {
        run for run in view.running if run.after(landed) is None or not gone.isdisjoint(run.changes[len(landed) :])
    }
    return Decision(
        land=land,
        evict=evict,
        unjudged=unjudged,
        cancel=frozenset(doomed),
        order=land,
        reasons=telling.settled(view, land, {**evict, **unjudged}),
        record=places.without(record, gone),
    )


# runs


def _under_way(knowledge: Knowledge) -> Decision:
    view, record = knowledge.view, knowledge.record
    wanted = plan(knowledge, record.places[: record.window], most=view.slots)
    cancel, start = _changed(knowledge, wanted)
    return Decision(
        cancel=cancel,
        start=start,
        order=wanted.path,
        reasons=telling.under_way(knowledge, wanted, record.places),
        record=record,
    )


def _changed(knowledge: Knowledge, wanted: Plan) -> tuple[frozenset[Candidate], tuple[Candidate, ...]]:
    """Say which runs end and which begin: a wanted one takes the slot of one that is wanted less."""
    view = knowledge.view
    wishes = set(wanted.wishes)
    cancel = {run for run in view.running - wishes if knowledge.is_hopeless(run)}
    trees = {run.changes for run in view.running - cancel}
    named = {candidate.changes: candidate for candidate in reversed(wanted.wishes)}
    new = [candidate for tree, candidate in reversed(named.items()) if tree not in trees]
    idle = _least(view.running - cancel - wishes - view.failing)
    free = view.slots - len(view.running) + len(cancel)
    while len(new) > free and idle:
        cancel.add(idle.pop())
        free += 1
    return frozenset(cancel), tuple(new[: max(0, free)])


def _least(runs: Iterable[Candidate]) -> list[Candidate]:
    return sorted(runs, key=lambda run: (len(run.changes), run.changes))
