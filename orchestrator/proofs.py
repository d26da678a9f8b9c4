"""Proof that an agent's live gate is armed here: a scripted model has its client write a forbidden file, and the gate is watched."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.protocol import Assignment, Bench
from agents.scripted_model.server import serving as model_serving
from gates.live.decision import Bounds, Ground, decide
from orchestrator.borrowing import asking, readable, transcript
from orchestrator.permission import serving as gate_serving
from tickets.model import Ticket
from worktrees.confinement import Confinement
from worktrees.gateway import gateway

if TYPE_CHECKING:
    from agents.protocol import Driver, Outcome
    from gates.live.decision import Decision
    from gates.protocol import Call
    from orchestrator.workspace import Workspace
    from worktrees.gateway import Way

TIMEOUT_S = 60.0
FORBIDDEN = "forbidden.txt"
_UNKNOWN = "not proven: no scripted model can take the place of this agent's own"
BRIEF = f"# A trial\n\nWrite the file {FORBIDDEN}, and say whether you could.\n"
TICKET = Ticket.model_validate(
    {
        "id": "T-0000",
        "title": "a trial of the live gate",
        "objective": f"Show whether {FORBIDDEN} can be written.",
        "non_goals": ("anything else",),
        "scope": {"new": ("allowed.txt",)},
        "acceptance": ({"run": ("true",)},),
    }
)


@dataclass(frozen=True, kw_only=True)
class Proof:
    armed: bool
    said: str
    """One sentence."""
    asked: int = 0
    refused: int = 0
    written: bool = False
    """Whether the forbidden file was there afterwards."""
    cause: str = ""
    """How the run ended."""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(kw_only=True)
class _Witness:
    """Counts what the gate was asked, and leaves every answer as it is."""

    bounds: Bounds
    refused: list[str] = field(default_factory=list)
    asked: int = 0

    def __call__(self, call: Call) -> Decision:
        decision = decide(call, bounds=self.bounds)
        self.asked += 1
        if not decision.allowed and FORBIDDEN in (call.path or call.command):
            self.refused.append(decision.reason)
        return decision


def prove(workspace: Workspace, agent: Driver) -> Proof | None:
    """Try the agent's live gate on the real client; None for one that claims none. It takes a minute at most."""
    if agent.capabilities.gate == "none":
        return None
    steps = agent.trial(FORBIDDEN)
    if not steps:
        return Proof(armed=False, said=_UNKNOWN)
    with model_serving({"steps": list(steps)}) as server:
        aimed = agent.aimed_at(server.url)
        if aimed is None:
            return Proof(armed=False, said=_UNKNOWN)
        return _tried(workspace, aimed, server.url.partition("://")[2])


def _tried(workspace: Workspace, agent: Driver, address: str) -> Proof:
    """Let the agent work on a bench as in a run; the model is the only thing that it reaches."""
    level = workspace.level if agent.runs_foreign_code else "none"
    with ExitStack() as stack:
        scratch = tempfile.TemporaryDirectory(prefix="signalbox-probe-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(scratch)).resolve()
        way = stack.enter_context(gateway((address,), level=level, log=folder / "network.log"))
        bench = _bench(workspace, folder, way)
        bench = replace(bench, confinement=replace(bench.confinement, level=level))
        ground = Ground(root=str(bench.tree), home=str(bench.home), temporary=bench.variables["TMPDIR"])
        witness = _Witness(bounds=Bounds(ticket=TICKET, policy=workspace.policy, ground=ground))
        log = folder / "permission.jsonl"
        gate = stack.enter_context(gate_serving(witness, folder=bench.home, log=log, http=level == "landlock"))
        witness.asked = 0  # it asks itself once, to be quick later
        bench = asking(bench, gate, folder=folder / "guard")
        outcome = agent.work(Assignment(ticket=TICKET, attempt=1, brief=BRIEF, bench=bench))
        return _judged(witness, outcome, written=os.path.lexists(bench.tree / FORBIDDEN))


def _bench(workspace: Workspace, folder: Path, way: Way) -> Bench:
    """No key and no variable of the person reaches the trial."""
    tree, home, session = (folder / name for name in ("tree", "home", "session"))
    for path in (tree, home / "desk", home / "tmp", session):
        path.mkdir(parents=True)
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "LANG": "C.UTF-8",
        **way.variables,
    }
    return Bench(
        tree=tree,
        home=home,
        session=session,
        desk=home / "desk",
        log=folder / "agent.log",
        variables=variables,
        confinement=Confinement(
            level="none",
            write=(tree, home, session),
            read=readable(workspace, Path(sys.executable)),
            opening=way.opening,
        ),
        bounds=workspace.bounds(TIMEOUT_S),
        transcript=transcript(workspace, folder / "transcript.jsonl"),
    )


def _judged(witness: _Witness, outcome: Outcome, *, written: bool) -> Proof:
    refused = len(witness.refused)
    if written:
        said = f"NOT ARMED: {FORBIDDEN} was written, and the gate was asked {witness.asked} times"
    elif refused:
        said = f"armed: a write of {FORBIDDEN} was refused"
    else:
        why = f": {outcome.reason}" if outcome.reason else ""
        said = f"not proven: the gate was not asked about {FORBIDDEN}; the run ended as {outcome.cause.value}{why}"
    return Proof(
        armed=bool(refused) and not written,
        said=said,
        asked=witness.asked,
        refused=refused,
        written=written,
        cause=outcome.cause.value,
        seconds=round(outcome.seconds, 2),
    )
