"""`agents show` and `agents render`: a role as a person reads it, and as a coding client reads it."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agents import roles
from agents.brief import report_form
from agents.guides import CLIENTS, MARK, House, guide, written_by_us
from gates.builtin.denylist import protected
from gates.catalogue import catalogue
from orchestrator.commands.output import say, table
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from worktrees.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agents.roles.model import Role
    from gates.protocol import Gate
    from tickets.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What was asked of `agents render`."""

    client: str
    to: Path | None
    force: bool


def house(policy: Policy) -> House:
    gates = {gate.name: about(gate) for gate in catalogue().values()}
    return House(policy=policy, protected=protected(policy), gates=gates)


def about(gate: Gate) -> str:
    """Give the sentence with which the gate's module begins."""
    first = (sys.modules[gate.verify.__module__].__doc__ or "").partition("\n")[0]
    return first.removeprefix(f"`{gate.name}`: ").strip()


# show


def show(repo: Path, name: str, *, json: bool) -> int:
    Workspace.open(repo)
    role = roles.started(name, catalogue())
    data = _data(role)
    say(data, lambda: "\n\n".join(_shown(role, data)), as_json=json)
    return 0


def _data(role: Role) -> dict[str, Any]:
    gates = catalogue()
    return {
        "role": role.name,
        "purpose": role.purpose,
        "lineage": list(role.lineage),
        "capabilities": [
            {"gate": part.name, "source": part.source, "about": about(gates[part.name])} for part in role.capabilities
        ],
        "tools": [part.name for part in role.tools],
        "sees": [part.name for part in role.sees],
        "report": [field.model_dump() for field in role.report],
        "relaxes": [{"source": source, **relaxed.model_dump()} for source, relaxed in role.relaxes],
        "hands_over": [one.model_dump() for one in role.hands_over],
        "receives": [
            {"from": giver, "what": one.what, "when": one.when}
            for giver, one in roles.hand_overs()
            if one.to == role.name
        ],
        "blocks": [{**asdict(block), "sha256": _sha256(block.text)} for block in role.blocks],
        "text": role.text,
    }


def _shown(role: Role, data: dict[str, Any]) -> Iterator[str]:
    parents = f" (extends {', then '.join(role.lineage[1:])})" if role.lineage[1:] else ""
    yield f"{role.name}{parents}\n{role.purpose}"
    yield f"tools  {', '.join(data['tools'])}\nsees   {', '.join(data['sees'])}"
    yield _list("judged by", [(one["gate"], one["source"], one["about"]) for one in data["capabilities"]])
    yield _list("relaxed", [(one["source"], f"{one['kind']} {one['name']}", one["reason"]) for one in data["relaxes"]])
    yield _list("hands over", [(f"to {one['to']}", one["what"], f"when {one['when']}") for one in data["hands_over"]])
    yield _list("receives", [(f"from {one['from']}", one["what"], f"when {one['when']}") for one in data["receives"]])
    yield _list("blocks", [(one["name"], f"roles/{one['source']}.toml", one["sha256"][:12]) for one in data["blocks"]])
    yield role.text
    if role.edits:
        yield report_form(role)


def _list(title: str, rows: list[tuple[str, ...]]) -> str:
    body = table(rows) if rows else "nothing"
    return f"{title}\n" + "\n".join(f"  {line}" for line in body.splitlines())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# render


def render(repo: Path, name: str, asked: Rendering, *, json: bool) -> int:
    """Write a role as a guide; a file that was not written by us stays as it is, unless that is asked for."""
    if asked.client not in CLIENTS:
        raise InputError(f"there is no client {asked.client!r}; there are {', '.join(CLIENTS)}")
    workspace = Workspace.open(repo)
    role = roles.started(name, catalogue())
    text = guide(role, asked.client, house(workspace.policy))
    file = asked.to or (workspace.root / CLIENTS[asked.client] if CLIENTS[asked.client] else None)
    data = {
        "role": name,
        "for": asked.client,
        "file": str(file) if file else None,
        "sha256": _sha256(text),
        "text": text,
    }
    if file is None:
        say(data, lambda: text, as_json=json)
        return 0
    _write(file, text, force=asked.force)
    say(data, lambda: f"wrote {file}", as_json=json)
    return 0


def _write(file: Path, text: str, *, force: bool) -> None:
    try:
        if file.exists() and not force and not written_by_us(file.read_text(encoding="utf-8", errors="replace")):
            raise InputError(
                f"{file} was not written by this command (its first line does not begin with {MARK!r}); "
                "--force overwrites it, --to names another file"
            )
        write_durably(file, text.encode())
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from error
