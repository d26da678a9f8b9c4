"""Artifacts as the API shows and sends them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import BaseModel, Field
from sqlalchemy import Engine, select

from experiment_hub.api.paging import Key, Order, Page, one_page
from experiment_hub.api.problems import RequestProblem
from experiment_hub.artifacts.catalog import ArtifactRecord, Catalog
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Artifact, ArtifactLink

BLOCK = 1 << 18
FOLDER = "folder"


class ArtifactName(BaseModel):
    owner_kind: str
    owner: str
    name: str
    role: str
    keep: str
    digest: str
    size: int
    kind: str
    created_at: str


class FileOfFolder(BaseModel):
    path: str
    size: int
    digest: str


class ArtifactDetail(BaseModel):
    digest: str
    size: int = Field(description="Bytes; of a folder, the sum of its files.")
    kind: str
    files: list[FileOfFolder] = Field(description="Of a folder; the first thousand.")


@dataclass(frozen=True)
class Span:
    """Bytes of a file from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def named(link: ArtifactLink, record: ArtifactRecord) -> ArtifactName:
    fields = {name: getattr(link, name) for name in ("owner_kind", "owner", "name", "role", "keep", "created_at")}
    return ArtifactName(**fields, digest=record.digest, size=record.size, kind=record.kind)


def file_in(catalog: Catalog, digest: str, path: str | None) -> tuple[ArtifactRecord, str]:
    """The file that is meant and a name to save it under; only what the folder's own list names can be reached."""
    record = catalog.record(digest)
    if record.kind != FOLDER:
        if path is not None:
            raise RequestProblem(404, "This artifact is a file; it has no paths inside.")
        return record, record.digest.partition(":")[2][:16]
    if path is None:
        raise RequestProblem(422, "This artifact is a folder: say which file of it, `?path=`.")
    entry = next((entry for entry in catalog.entries(record.digest) if entry.path == path), None)
    if entry is None:
        raise RequestProblem(404, "The folder has no file of that path.")
    return ArtifactRecord(entry.digest, entry.size, "file"), path.rpartition("/")[2]


def span_of(header: str | None, size: int) -> Span | None:
    """One range of a `Range` header; None for the whole; raises RequestProblem 416 where there are no such bytes."""
    unit, _, text = (header or "").partition("=")
    first, dash, last = text.partition("-")
    ends = (first.strip(), last.strip())
    if unit.strip() != "bytes" or not dash or "," in text or not any(ends) or not all(_is_digits(end) for end in ends):
        return None  # RFC 9110: what is not understood is ignored
    if not ends[0]:
        span = Span(max(0, size - int(ends[1])), size - 1)
    else:
        span = Span(int(ends[0]), min(int(ends[1]) if ends[1] else size - 1, size - 1))
    if span.length <= 0 or span.first >= size:
        if ends[1] and ends[0] and int(ends[1]) < int(ends[0]):
            return None
        raise RequestProblem(416, "There are no such bytes.", {"Content-Range": f"bytes */{size}"})
    return span


def blocks(stream: BinaryIO, span: Span) -> Iterator[bytes]:
    """Closes the stream; the store verifies what is read from start to end."""
    with stream:
        skipped = span.first
        while skipped > 0:
            passed = len(stream.read(min(BLOCK, skipped)))
            if not passed:
                return
            skipped -= passed
        left = span.length
        while left > 0 and (block := stream.read(min(BLOCK, left))):
            left -= len(block)
            yield block


def _is_digits(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdecimal() and len(text) < 20)  # noqa: PLR2004 -- below 2 ** 63


def names_of(engine: Engine, owner: tuple[str, str] | None, cursor: str | None, limit: int) -> Page[ArtifactName]:
    """Of one owner (kind and name), or of everybody."""
    query = select(ArtifactLink, Artifact.size, Artifact.kind).join(Artifact, Artifact.digest == ArtifactLink.digest)
    if owner is not None:
        query = query.where(ArtifactLink.owner_kind == owner[0], ArtifactLink.owner == owner[1])
    columns = (ArtifactLink.owner_kind, ArtifactLink.owner, ArtifactLink.name)
    order = Order(tuple(Key(column, str) for column in columns), label="artifacts")
    with reading(engine) as session:
        rows, following = one_page(session, query, order, cursor, limit)
    items = [named(row[0], ArtifactRecord(row[0].digest, row.size, row.kind)) for row in rows]
    return Page(items=items, next_cursor=following)
