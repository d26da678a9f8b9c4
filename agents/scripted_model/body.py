"""Bodies of requests: chunked or with a length, packed or not, and never larger than is bearable."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message
    from io import BufferedIOBase

LARGEST = 64 << 20
_LINE = 1 << 10
_GZIP = 16 + zlib.MAX_WBITS


class BodyError(Exception):
    """A body that is not read; `status` is what its sender is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def received(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read the body as it was before it was packed."""
    chunked = headers.get("transfer-encoding", "").lower() == "chunked"
    raw = _chunks(stream) if chunked else _sized(headers.get("content-length", "0"), stream)
    coding = headers.get("content-encoding", "identity").lower()
    if coding in {"gzip", "x-gzip"}:
        return _unpacked(raw)
    if coding != "identity":
        raise BodyError(415, f"a body in the coding {coding} is not read here; send it as gzip, or as it is")
    return raw


def json_object(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BodyError(400, f"the body is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise BodyError(400, "the body is no JSON object")
    return data


def _sized(length: str, stream: BufferedIOBase) -> bytes:
    if not length.isdecimal():
        raise BodyError(400, "the content-length is no number")
    return _read(stream, int(length))


def _chunks(stream: BufferedIOBase) -> bytes:
    parts, size = list[bytes](), 0
    while length := _length(stream):
        size += length
        parts.append(_read(stream, length, before=size - length))
        stream.readline(_LINE)
    while stream.readline(_LINE).strip():
        pass  # trailers
    return b"".join(parts)


def _length(stream: BufferedIOBase) -> int:
    try:
        return int(stream.readline(_LINE).split(b";")[0], 16)
    except ValueError as error:
        raise BodyError(400, "the body breaks off, or its chunks have no length") from error


def _read(stream: BufferedIOBase, length: int, *, before: int = 0) -> bytes:
    if not 0 <= length <= LARGEST - before:
        raise BodyError(413, f"the body is larger than {LARGEST} bytes")
    data = stream.read(length)
    if len(data) < length:
        raise BodyError(400, "the body breaks off")
    return data


def _unpacked(raw: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        data = unpacker.decompress(raw, LARGEST)
    except zlib.error as error:
        raise BodyError(400, f"the body is no gzip: {error}") from error
    if unpacker.unconsumed_tail:
        raise BodyError(413, f"the body is larger than {LARGEST} bytes once it is unpacked")
    return data
