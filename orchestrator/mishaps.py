"""What the machine refused, whoever reported it: a full or failing disk is no defect of ours, and no report is asked for."""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSALS = frozenset(
    {
        errno.EIO,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.ENOLCK,
        errno.ESTALE,
        errno.ENXIO,
        errno.EINTR,
    }
)
"""What no program can help; that a file is missing, or closed to us, may well be our own doing."""
DATABASE = ("IOERR", "FULL", "CORRUPT", "CANTOPEN", "READONLY", "BUSY", "LOCKED", "NOMEM", "NOTADB", "PROTOCOL")


def refusal(error: BaseException) -> str:
    """Give what the system or the database said where that is at the bottom of the error; empty where it is not."""
    return next((_said(cause) for cause in _causes(error) if _refused(cause)), "")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _refused(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_").startswith(DATABASE)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in REFUSALS)


def _said(error: BaseException) -> str:
    return str(error) or "there is not enough memory"
