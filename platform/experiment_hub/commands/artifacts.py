"""Commands about the artifact store."""

import getpass
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiment_hub.artifacts import inspection
from experiment_hub.artifacts.catalog import Catalog, Link
from experiment_hub.artifacts.digests import PREFIX
from experiment_hub.artifacts.retention import Amount, Collection, collect
from experiment_hub.errors import BadInputError, CorruptError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.output import emit, size, table, visible
from experiment_hub.tracking.home import find_home

COLUMNS = ("digest", "owner_kind", "owner", "name", "role", "keep", "created_at")
SHORT = len(PREFIX) + 12


@dataclass(frozen=True)
class Naming:
    name: str | None
    run: str | None
    role: str


def names(owner: str | None, home: Path | None, *, as_json: bool) -> None:
    rows = [
        {column: getattr(link, column) for column in COLUMNS} for link in Catalog(find_home(home)).links(owner=owner)
    ]
    shown = ([row["digest"][:SHORT], *(row[column] for column in COLUMNS[1:])] for row in rows)
    emit({"artifacts": rows}, table(COLUMNS, shown), as_json=as_json)


def put(path: Path, naming: Naming, home: Path | None, *, as_json: bool) -> None:
    place = find_home(home)
    name = naming.name or path.resolve().name
    if naming.run is None:
        link = Link("user", getpass.getuser(), name, naming.role)
    else:
        link = Link("run", MetadataStore(place).run(naming.run).id, name, naming.role)
    record = Catalog(place).put(path, link)
    emit(asdict(record), [f"{record.digest}  {size(record.size)}  {visible(name, kept='')}"], as_json=as_json)


def get(digest: str, target: Path, home: Path | None, *, as_json: bool) -> None:
    record = Catalog(find_home(home)).fetch(digest, target)
    emit({**asdict(record), "path": str(target)}, [f"{target}: {record.digest}, verified"], as_json=as_json)


def unlink(digest: str, name: str, home: Path | None, *, as_json: bool) -> None:
    catalog = Catalog(find_home(home))
    whole = catalog.record(digest).digest
    found = [link for link in catalog.links() if link.digest == whole and link.name == name]
    if any(link.owner_kind == "model" for link in found):
        raise BadInputError(
            f"{name!r} is the name that a registered model has for {whole}; models keep their artifacts"
        )
    if not found:
        raise BadInputError(f"{whole} has no name {name!r}")
    for link in found:
        catalog.unlink(link.owner_kind, link.owner, link.name)
    emit({"digest": whole, "dropped": len(found)}, [f"{whole}: {len(found)} name(s) given up"], as_json=as_json)


def verify(digest: str | None, home: Path | None, *, as_json: bool) -> None:
    found = list(inspection.damages(Catalog(find_home(home)), digest))
    lines = [
        line for each in found for line in (each.problem, *(f"    {visible(user, kept='')}" for user in each.users))
    ]
    emit({"damaged": [asdict(each) for each in found]}, lines or ["nothing is damaged"], as_json=as_json)
    if found:
        raise SystemExit(CorruptError.exit_code)


def why(digest: str, home: Path | None, *, as_json: bool) -> None:
    document = inspection.why(Catalog(find_home(home)), digest)
    emit(document, _explained(document), as_json=as_json)


def _explained(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['digest']}: {document['kind']}, {size(document['size'])}, {document['state']}"
    yield f"stays: {document['reason']}" if document["reason"] else "nothing needs it"
    yield from (f"    {visible(user, kept='')}" for user in document["users"])
    if document["removed_from"]:
        yield f"condemned at {document['condemned_at']}; a collection from {document['removed_from']} on removes it"


def gc(home: Path | None, *, dry_run: bool, as_json: bool) -> None:
    done = collect(Catalog(find_home(home)), dry_run=dry_run)
    emit(asdict(done), _reported(done), as_json=as_json)


def _reported(done: Collection) -> Iterator[str]:
    would = "would be " if done.dry_run else ""
    yield f"{would}removed: {_amount(done.removed)}"
    yield f"{would}condemned: {_amount(done.condemned)}"
    yield f"{would}rescued: {done.rescued}; names {would}dropped: {done.dropped_names}; adopted: {done.adopted}"
    yield f"leftovers of interrupted writers and old cache entries: {size(done.leftovers)}"
    yield from (f"stays, {reason}: {_amount(amount)}" for reason, amount in done.kept.items())


def _amount(amount: Amount) -> str:
    return f"{amount.count} files, {size(amount.bytes)}"
