"""`migrations`: the revisions make exactly the schema of the models, and take it back. Both are tried on a real database.

Judged is what differs beyond what differed at the base. Left out: CHECK constraints and computed columns, which Alembic does not compare.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates.commands import blocked, not_judged
from gates.declared.revisions import REGULAR, Revision, UnreadableRevisionError, heads, revisions
from gates.protocol import Case, Gate
from gates.source.meaning import meaning
from gates.source.python_code import changed_files
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable
from tickets.globs import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gates.verdict import GateReceipt
    from gates.workshop import Lease
    from tickets.model import Ticket
    from tickets.policy import Policy

TIMEOUT_S = 120.0
SHOWN = 12
"""Differences that become findings of their own."""
_PROBE = Path(__file__).parent.parent / "declared" / "alembic_probe.py"


class _UndecidedError(Exception):
    """The revisions cannot be tried; says why, with the receipt of what was tried."""

    def __init__(self, reason: str, *receipts: GateReceipt) -> None:
        super().__init__(reason)
        self.receipts = receipts


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One Alembic environment with its revisions, before and after."""

    folder: str
    old: tuple[Revision, ...]
    new: tuple[Revision, ...]
    models: tuple[str, ...]
    receipts: list[GateReceipt] = field(default_factory=list)


def rule(_ticket: Ticket, policy: Policy) -> str:
    models = ", ".join(f"`{glob}`" for glob in policy.migrations.models)
    return "\n".join(
        [
            f"- a change of the database models ({models}) comes with an Alembic revision that makes exactly that schema:",
            "  tables, columns, types, nullability, server defaults, keys, indexes, uniques",
            "- its downgrade restores exactly what was there before; there is one head; existing revisions stay as they are",
        ]
    )


def verify(case: Case) -> Verdict:
    settings = case.policy.migrations
    globs = (*settings.models, *settings.versions)
    if not any(matches(path, globs) for one in case.change.landing for path in one.paths):
        return not_applicable("neither database models nor revisions are touched")
    try:
        old = revisions(case.repository, case.change.base, settings.versions)
        new = revisions(case.repository, case.change.commit, settings.versions)
        if not old and not new:
            return not_applicable("the repository has no Alembic revisions")
        if not _models_changed(case) and _sayings(old) == _sayings(new):
            return not_applicable("models and revisions say the same as before")
        return _judge(case, _places(case, old, new))
    except UnreadableRevisionError as error:
        return inconclusive(f"the revisions cannot be compared: {error}")
    except _UndecidedError as error:
        return inconclusive(str(error), *error.receipts)


def _models_changed(case: Case) -> bool:
    globs = case.policy.migrations.models
    if any(one.kind == "deleted" and matches(one.path, globs) for one in case.change.landing):
        return True
    files = [file for file in changed_files(case) if matches(file.path, globs)]
    return any(file.before_tree is None or meaning(file.tree) != meaning(file.before_tree) for file in files)


def _sayings(known: Iterable[Revision]) -> Counter[tuple[str, str]]:
    return Counter((one.id, one.meaning) for one in known)


def _places(case: Case, old: tuple[Revision, ...], new: tuple[Revision, ...]) -> list[_Place]:
    """Give the Alembic environments that the change concerns."""
    fixed = case.policy.migrations.script_location
    folders = sorted({fixed or one.script_location for one in (*old, *new)})
    paths = [entry.path for entry in case.repository.entries(case.change.commit) if entry.mode in REGULAR]
    models = [path for path in paths if matches(path, case.policy.migrations.models)]
    places = [
        _Place(
            folder=folder,
            old=tuple(one for one in old if (fixed or one.script_location) == folder),
            new=tuple(one for one in new if (fixed or one.script_location) == folder),
            models=tuple(path for path in models if len(folders) == 1 or path.startswith(posixpath.dirname(folder))),
        )
        for folder in folders
    ]
    concerned = places if len(places) == 1 else [one for one in places if _sayings(one.old) != _sayings(one.new)]
    if not concerned:
        raise _UndecidedError(
            f"there are several Alembic environments ({', '.join(folders)}), and models changed without a revision in any: "
            "name the one that is meant in [migrations] script_location"
        )
    return concerned


def _judge(case: Case, places: list[_Place]) -> Verdict:
    found: list[Finding] = []
    receipts: list[GateReceipt] = []
    for place in places:
        by_reading = [*_history(place), *_heads(place)]
        found += by_reading or _by_trying(case, place)
        receipts += place.receipts
    return judged(
        found, otherwise="the revisions make exactly the schema of the models, and take it back", receipts=receipts
    )


def _history(place: _Place) -> Iterator[Finding]:
    now = {one.id: one.path for one in place.new}
    sayings = _sayings(place.new)
    for was in place.old:
        if (was.id, was.meaning) not in sayings:
            what = "was changed" if was.id in now else "is gone"
            message = (
                f"the revision {was.id} of {was.path} {what}; databases have it applied: add a new revision instead"
            )
            yield Finding(rule="migrations.history", path=now.get(was.id, was.path), message=message, actual=what)


def _heads(place: _Place) -> Iterator[Finding]:
    for name, count in Counter(one.id for one in place.new).items():
        if count > max(1, sum(was.id == name for was in place.old)):
            paths = ", ".join(one.path for one in place.new if one.id == name)
            message = f"{count} files are the revision {name} ({paths}): give the new one an id of its own"
            yield Finding(rule="migrations.duplicate", path=place.folder, message=message, limit="1", actual=str(count))
    found = heads(place.new)
    if len(found) > max(1, len(heads(place.old))):
        message = (
            f"{place.folder} has {len(found)} heads ({', '.join(found)}): let the new revision follow the newest one"
        )
        yield Finding(rule="migrations.heads", path=place.folder, message=message, limit="1", actual=", ".join(found))


def _by_trying(case: Case, place: _Place) -> list[Finding]:
    answer = _probed(case, place, case.change.commit)
    known = {one.path for one in place.old}
    fallback = place.models[0] if place.models else place.folder
    path = next((one.path for one in place.new if one.path not in known), fallback)
    if said := answer.get("upgrade"):
        message = f"upgrading from the base's schema failed: {said}"
        return [Finding(rule="migrations.upgrade", path=path, message=message)]
    differences = answer["differences"]
    if differences and place.old:
        # what differed before is not this change's doing
        differences = sorted(set(differences) - set(_probed(case, place, case.change.base).get("differences", ())))
    found = [_finding("schema", path, said) for said in differences[:SHOWN]]
    return found + [_finding("downgrade", path, f"after the downgrade: {said}") for said in answer["downgrade"][:SHOWN]]


def _finding(name: str, path: str, message: str) -> Finding:
    limit = {"schema": "the schema of the models", "downgrade": "the schema before the upgrade"}[name]
    return Finding(rule=f"migrations.{name}", path=path, message=message, limit=limit)


def _probed(case: Case, place: _Place, commit: str) -> dict[str, Any]:
    """Try the revisions of a commit; raise _UndecidedError where they cannot be tried."""
    with case.workshop.lease(commit) as lease:
        probe = lease.scratch / _PROBE.name
        probe.write_text(_PROBE.read_text(encoding="utf-8"), encoding="utf-8")
        order = _order(case, place, lease)
        extra = {"DATABASE_URL": f"sqlite:///{order['database']}"}
        command = [str(lease.environment.python), str(probe), json.dumps(order)]
        ran = lease.run(command, timeout_s=TIMEOUT_S, extra=extra)
        place.receipts.append(ran.shown)
        if reason := not_judged(ran) or ("" if ran.ok else f"the trial ended with exit code {ran.receipt.exit}"):
            raise _UndecidedError(blocked("the revisions", ran, reason), *place.receipts)
        answer: dict[str, Any] = json.loads(ran.output.rstrip().splitlines()[-1])
    if trouble := answer.get("trouble"):
        at = " at the base" if commit == case.change.base else ""
        raise _UndecidedError(f"the revisions of {place.folder} could not be tried{at}: {trouble}", *place.receipts)
    return answer


def _order(case: Case, place: _Place, lease: Lease) -> dict[str, Any]:
    database = lease.scratch / "trial.sqlite"
    for leftover in lease.scratch.glob("trial.sqlite*"):
        leftover.unlink()
    env = posixpath.join(place.folder, "env.py")
    places = (posixpath.join(posixpath.dirname(place.folder), "alembic.ini"), "alembic.ini")
    return {
        "script_location": str(lease.folder / place.folder),
        "ini": next((str(lease.folder / one) for one in places if lease.view.is_file(one)), ""),
        "database": str(database),
        "start": heads(place.old),
        "metadata": case.policy.migrations.metadata,
        "models": [name for path in place.models if (name := _module(lease, path))],
        # filters that came with the change could hide what it does
        "filters": not any(env in one.paths for one in case.change.landing),
    }


def _module(lease: Lease, path: str) -> str:
    """Name the module of a file, from the nearest folder that imports start from."""
    file = lease.folder / path
    root = max((root for root in lease.environment.roots if file.is_relative_to(root)), key=lambda one: len(one.parts))
    parts = file.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) if lease.view.is_file(path) and all(part.isidentifier() for part in parts) else ""


GATE = Gate(name="migrations", judges="tree", rule=rule, verify=verify, asks_ticket=False)
