"""Registered states of datasets: numbered manifests in the database, added and never changed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from experiment_hub.canonical import content_hash
from experiment_hub.errors import BadInputError, ConflictError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import DatasetVersion
from experiment_hub.times import now

SHORTEST_HASH = 8
SAME = ("fingerprint", "splits")


def register(engine: Engine, name: str, document: Mapping[str, Any]) -> tuple[DatasetVersion, bool]:
    """The next version of a name, or the newest one and False where it is the same; raises ConflictError."""
    try:
        with writing(engine, durable=True) as session:
            newest = _newest(session, name)
            if newest is not None and all(newest.manifest[key] == document[key] for key in SAME):
                return newest, False
            made = _version(name, document, newest)
            session.add(made)
    except IntegrityError as error:
        raise ConflictError(f"dataset {name!r} got a new version at the same moment; try again") from error
    return made, True


def versions(engine: Engine, name: str | None = None, fingerprint: str | None = None) -> list[DatasetVersion]:
    """By name and version; all, or those of a name, or of a content."""
    query = select(DatasetVersion).order_by(DatasetVersion.name, DatasetVersion.version)
    if name is not None:
        query = query.where(DatasetVersion.name == name)
    if fingerprint is not None:
        query = query.where(DatasetVersion.fingerprint == fingerprint)
    with reading(engine) as session:
        return list(session.scalars(query))


def version(engine: Engine, reference: str) -> DatasetVersion:
    """By `name`, `name@version`, or the start of a hash or fingerprint; raises BadInputError."""
    with reading(engine) as session:
        found = _by_name(session, reference) or _by_hash(session, reference)
    if found is None:
        raise BadInputError(
            f"no registered dataset {reference!r}: expected NAME, NAME@VERSION or the first {SHORTEST_HASH} or more "
            "digits of a hash; `hub data list` shows them"
        )
    return found


def _version(name: str, document: Mapping[str, Any], newest: DatasetVersion | None) -> DatasetVersion:
    number = 1 if newest is None else newest.version + 1
    parent = None if newest is None else newest.hash
    complete = {**document, "name": name, "version": number, "parent": parent}
    return DatasetVersion(
        hash=content_hash(complete),
        name=name,
        version=number,
        fingerprint=document["fingerprint"],
        samples=document["samples"],
        manifest=complete,
        parent_hash=parent,
        created_at=now(),
    )


def _newest(session: Session, name: str) -> DatasetVersion | None:
    last = select(func.max(DatasetVersion.version)).where(DatasetVersion.name == name).scalar_subquery()
    return session.scalar(select(DatasetVersion).where(DatasetVersion.name == name, DatasetVersion.version == last))


def _by_name(session: Session, reference: str) -> DatasetVersion | None:
    name, at, number = reference.rpartition("@")
    if at and number.isdecimal():
        query = select(DatasetVersion).where(DatasetVersion.name == name, DatasetVersion.version == int(number))
        return session.scalar(query)
    return _newest(session, reference)


def _by_hash(session: Session, reference: str) -> DatasetVersion | None:
    if len(reference) < SHORTEST_HASH or set(reference) - set("0123456789abcdef"):
        return None
    columns = (DatasetVersion.hash, DatasetVersion.fingerprint)
    query = select(DatasetVersion).where(or_(*(column.startswith(reference) for column in columns)))
    found = session.scalars(query.order_by(DatasetVersion.created_at.desc())).all()
    if len({each.name for each in found}) > 1:
        named = ", ".join(f"{each.name}@{each.version}" for each in found)
        raise BadInputError(f"{reference} is ambiguous: {named}")
    return found[0] if found else None
