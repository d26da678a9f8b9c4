"""`agents probe`: what each driver can and cannot do here, and whether its live gate is really armed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agents.catalogue import DRIVERS, driver
from agents.protocol import Capabilities, Probe
from agents.transcripts import visible
from orchestrator.commands.output import say, table
from orchestrator.proofs import Proof, prove
from orchestrator.readiness import out_of_reach
from orchestrator.workspace import Workspace
from tickets.agents import Agent
from tickets.errors import InputError, SignalboxError

if TYPE_CHECKING:
    from pathlib import Path

    from agents.protocol import Driver

_ABOUT = ("agent", "kind", "state", "version", "signed-in")
_CAN = ("gate", "if-it-breaks", "shell", "usage", "counts", "budget", "resumes", "report", "guide", "proof")
HEAD = (*_ABOUT, *_CAN)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One agent, or one kind that is not configured here."""

    name: str
    kind: str
    configured: bool
    probe: Probe
    can: Capabilities
    proof: Proof | None = None

    @property
    def good(self) -> bool:
        """Whether it can start, and what it claims of its gate was seen."""
        armed = self.can.gate == "none" or (self.proof is not None and self.proof.armed)
        return self.state == "ready" and armed

    @property
    def state(self) -> str:
        if not self.probe.ready:
            return "NOT READY"
        return "NOT SIGNED IN" if self.probe.signed_in is False else "ready"

    def to_json(self) -> dict[str, Any]:
        return {
            "agent": self.name,
            "kind": self.kind,
            "configured": self.configured,
            "ready": self.probe.ready,
            "detail": self.probe.detail,
            "version": self.probe.version,
            "signed_in": self.probe.signed_in,
            "capabilities": asdict(self.can),
            "proof": self.proof.to_json() if self.proof else None,
        }

    def cells(self) -> tuple[str, ...]:
        can = self.can
        signed = {True: "yes", False: "no", None: "-"}[self.probe.signed_in]
        proof = "-" if self.proof is None else "armed" if self.proof.armed else "NOT PROVEN"
        about = (self.name, self.kind, self.state, self.probe.version or "-", signed)
        usage = (can.usage, can.usage_scope, can.budget, "yes" if can.resumes else "no")
        return (*about, can.gate, can.gate_failure, can.shell, *usage, can.report, can.guide or "-", proof)


def probe(repo: Path, name: str | None, *, everything: bool, json: bool) -> int:
    """Give 0 where every configured agent that was asked about is ready and what it claims of its gate was proven."""
    workspace = Workspace.open(repo)
    names = _configured(workspace)
    if name and name not in names:
        raise InputError(f"there is no agent {name!r} here; there are {', '.join(names)}")
    names = [name] if name else names
    rows = [_row(workspace, one) for one in names]
    kinds = {row.kind for row in rows}
    rows += [_unconfigured(workspace, kind) for kind in DRIVERS if everything and kind not in kinds]
    say([row.to_json() for row in rows], lambda: _text(rows), as_json=json)
    return 0 if all(row.good for row in rows if row.configured) else 1


def _configured(workspace: Workspace) -> list[str]:
    policy = workspace.policy
    played = [policy.agent_for(role) for role in ("lead", "executor", *policy.roles)]
    return list(dict.fromkeys([*policy.agents, *played]))


def _row(workspace: Workspace, name: str) -> Row:
    agent = driver(workspace.policy, name, workspace.root)
    row = _probed(workspace, name, agent, configured=True)
    why = out_of_reach(workspace.policy, workspace.policy.agent(name))
    return replace(row, probe=replace(row.probe, ready=False, detail=why)) if why and row.probe.ready else row


def _unconfigured(workspace: Workspace, kind: str) -> Row:
    """Show a kind as it would be with nothing but its name; one that needs more says what."""
    try:
        settings = Agent.model_validate({"kind": kind})
    except ValidationError as error:
        missing = "; ".join(str(problem["msg"]).removeprefix("Value error, ") for problem in error.errors())
        agent = DRIVERS[kind](kind, Agent.model_construct(kind=kind), workspace.root)  # type: ignore[arg-type]
        unset = Probe(ready=False, detail=f"not configured here: it needs {missing}")
        return Row(name="-", kind=kind, configured=False, probe=unset, can=agent.capabilities)
    return _probed(workspace, "-", DRIVERS[kind](kind, settings, workspace.root), configured=False)


def _probed(workspace: Workspace, name: str, agent: Driver, *, configured: bool) -> Row:
    try:
        found = agent.probe()
    except InputError as error:
        found = Probe(ready=False, detail=str(error))
    proof = _proof(workspace, agent) if found.ready else None
    return Row(name=name, kind=agent.kind, configured=configured, probe=found, can=agent.capabilities, proof=proof)


def _proof(workspace: Workspace, agent: Driver) -> Proof | None:
    try:
        return prove(workspace, agent)
    except SignalboxError as error:  # no sandbox to be had here, say
        return Proof(armed=False, said=f"not proven: {error}")


def _text(rows: list[Row]) -> str:
    lines = [table([HEAD, *(row.cells() for row in rows)]), ""]
    for row in rows:
        label = row.name if row.configured else row.kind
        lines.append(f"{label}: {row.probe.detail}")
        lines += [f"{label}: {row.proof.said}"] if row.proof else []
    return visible("\n".join(lines))  # some of it was said by programs that are not ours
