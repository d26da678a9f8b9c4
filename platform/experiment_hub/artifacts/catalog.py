"""The artifact catalog of a home: what is stored, under which names, for whom."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from experiment_hub.artifacts.content import Content
from experiment_hub.artifacts.digests import PATTERN, PREFIX
from experiment_hub.artifacts.folders import Entry, Manifest
from experiment_hub.artifacts.ledger import REMOVED, Arrival, Piece, identity, settle
from experiment_hub.artifacts.names import inner_path, plain_text
from experiment_hub.artifacts.opening import open_store
from experiment_hub.artifacts.staging import FILE, FOLDER, Source, Tree, staging
from experiment_hub.errors import BadInputError, CorruptError, NotAllowedError
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import reading, upsert, writing
from experiment_hub.metadata.tables import Artifact, ArtifactLink, ArtifactPart
from experiment_hub.times import now

Keep = Literal["forever", "transient"]
OWNERS = ("run", "model", "baseline", "dataset", "evaluation", "job", "user")
SHORTEST_PREFIX = 6


@dataclass(frozen=True)
class ArtifactRecord:
    digest: str
    size: int
    """Bytes; of a folder, the sum of its files."""
    kind: str
    """file or folder."""


@dataclass(frozen=True)
class Link:
    """One name of an artifact: `owner` of kind `owner_kind` calls it `name`."""

    owner_kind: str
    owner: str
    name: str
    role: str = "output"
    """checkpoint, model, curves, log, plot, input, output or what else the owner calls it."""
    keep: Keep = "forever"
    """Transient ones may be dropped by retention when they are old and their owner is not at work."""


def catalog(home: Path) -> "Catalog":
    """`catalog(home).log(("run", run_id), "model", folder, role="model")`, then `.fetch(digest, target)`."""
    return Catalog(home)


class Catalog:
    """Every method may be called from several threads and processes at once.

    Raises BadInputError for what cannot be stored, StoreGoneError where the store fails or is full, CorruptError for
    content that is damaged or not there.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.engine: Engine = open_engine(home)
        self.content = Content(open_store(home), home)

    def log(
        self, owner: tuple[str, str], name: str, path: Source, *, role: str = "output", keep: Keep = "forever"
    ) -> ArtifactRecord:
        """Store a file, a folder, bytes or a stream under a name of its owner (kind and id); the name is there only if the content is."""
        return self.put(path, Link(*owner, name, role, keep))

    def put(self, source: Source, link: Link) -> ArtifactRecord:
        _check(link)
        self.claim()
        with staging(self.content.store.staging) as stage:
            tree = stage.tree(source)
            return settle(
                self.engine,
                _arrival(tree),
                lambda: self.content.store.add(tree.staged),
                lambda session: _name(session, link, ArtifactRecord(tree.digest, tree.size, tree.kind)),
            )

    def link(self, digest: str, link: Link) -> ArtifactRecord:
        """One more name for what is stored already."""
        _check(link)
        return self.link_and(digest, lambda _: link)

    def link_and(self, digest: str, make: Callable[[Session], Link]) -> ArtifactRecord:
        """The same for a link that `make` decides in the same transaction as whatever else it writes."""
        record = self.record(digest)
        arrival = self._again(record)
        return settle(
            self.engine,
            arrival,
            lambda: self._still_there(arrival),
            lambda session: _name(session, make(session), record),
        )

    def claim(self) -> None:
        """Make sure that no other database collects in this store; raises NotAllowedError."""
        place, mine = self.content.store.place, identity(self.engine)
        if self.content.store.owner(mine) != mine:
            raise NotAllowedError(
                f"the artifact store {place} belongs to another hub's database, whose collections would remove what "
                "this one stores: name another place at `artifacts:` in hub.yaml; "
                f"if that database is gone for good, remove {place}/owner"
            )

    def unlink(self, owner_kind: str, owner: str, name: str) -> bool:
        """Give a name up; content that has no name left is removed by later collections. Tells whether there was one."""
        chosen = ArtifactLink.owner_kind == owner_kind, ArtifactLink.owner == owner, ArtifactLink.name == name
        with writing(self.engine) as session:
            return (
                session.execute(delete(ArtifactLink).where(*chosen).returning(ArtifactLink.digest)).first() is not None
            )

    def links(self, owner_kind: str | None = None, owner: str | None = None) -> list[ArtifactLink]:
        """In order of time."""
        query = select(ArtifactLink).order_by(ArtifactLink.created_at, ArtifactLink.owner, ArtifactLink.name)
        if owner_kind is not None:
            query = query.where(ArtifactLink.owner_kind == owner_kind)
        if owner is not None:
            query = query.where(ArtifactLink.owner == owner)
        with reading(self.engine) as session:
            return list(session.scalars(query))

    def record(self, digest: str) -> ArtifactRecord:
        """By digest, or by the start of one; raises BadInputError if it is unknown, ambiguous or was removed."""
        start = digest if digest.startswith(PREFIX) else PREFIX + digest
        if len(start) < len(PREFIX) + SHORTEST_PREFIX or not PATTERN.fullmatch(start.ljust(len(PREFIX) + 64, "0")):
            raise BadInputError(f"{digest[:100]!r} is no digest: expected at least {SHORTEST_PREFIX} of its digits")
        query = select(Artifact).where(Artifact.digest.between(start, f"{start}g")).limit(2)
        with reading(self.engine) as session:
            found = list(session.scalars(query))
        if len(found) != 1:
            raise BadInputError(f"{digest!r} is {'ambiguous: give more digits' if found else 'not in this home'}")
        if found[0].state == REMOVED:
            raise BadInputError(f"{found[0].digest} was removed by a collection, because nothing needed it")
        return ArtifactRecord(found[0].digest, found[0].size, found[0].kind)

    def entries(self, digest: str) -> tuple[Entry, ...]:
        """The files of a folder, by path; of a file, nothing."""
        return self._manifest(self.record(digest)).entries

    def open(self, digest: str) -> BinaryIO:
        """A file's bytes from start to end; the read that would complete damaged content raises CorruptError."""
        record = self.record(digest)
        if record.kind == FOLDER:
            raise BadInputError(f"{record.digest} is a folder: open one of its files, or fetch it")
        return self.content.open(record.digest)

    def fetch(self, digest: str, target: Path) -> ArtifactRecord:
        """A verified copy under a new name, complete or absent; raises ConflictError if the name is taken."""
        record = self.record(digest)
        if record.kind == FOLDER:
            self.content.fetch_folder(record.digest, target)
        else:
            self.content.fetch_file(record.digest, target)
        return record

    def verify(self, digest: str) -> None:
        """Read all of it; raises CorruptError."""
        record = self.record(digest)
        self.content.check(record.digest)
        for each in sorted({entry.digest for entry in self._manifest(record).entries}):
            self.content.check(each)

    def _manifest(self, record: ArtifactRecord) -> Manifest:
        return self.content.manifest(record.digest) if record.kind == FOLDER else Manifest(entries=())

    def _again(self, record: ArtifactRecord) -> Arrival:
        query = select(Artifact).join(ArtifactPart, ArtifactPart.digest == Artifact.digest)
        with reading(self.engine) as session:
            parts = session.scalars(query.where(ArtifactPart.folder == record.digest)).all()
        return Arrival(
            Piece(record.digest, record.size, record.kind),
            tuple(Piece(part.digest, part.size, part.kind) for part in parts),
        )

    def _still_there(self, arrival: Arrival) -> None:
        for piece in (arrival.whole, *arrival.parts):
            if self.content.store.size(piece.digest) is None:
                raise CorruptError(f"{piece.digest} is not in the artifact store {self.content.store.place}")


def _arrival(tree: Tree) -> Arrival:
    parts = tuple(Piece(each.digest, each.size, FILE) for each in tree.parts)
    return Arrival(Piece(tree.digest, tree.size, tree.kind), parts)


def _check(link: Link) -> None:
    if link.owner_kind not in OWNERS:
        raise BadInputError(f"{link.owner_kind!r} cannot own artifacts; expected one of {', '.join(OWNERS)}")
    inner_path(link.name)
    plain_text(link.owner, "owner of an artifact")
    plain_text(link.role, "role of an artifact")


def _name(session: Session, link: Link, record: ArtifactRecord) -> ArtifactRecord:
    upsert(session, ArtifactLink, [{**vars(link), "digest": record.digest, "created_at": now()}])
    return record
