"""Paths inside folders and names of artifacts: nothing that could lead somewhere else."""

from pathlib import PurePosixPath

from experiment_hub.errors import BadInputError

LONGEST = 4096


def inner_path(text: str) -> str:
    """The text itself if it is a relative path that stays below its folder; raises BadInputError."""
    if not text or len(text) > LONGEST:
        raise BadInputError(f"a name of an artifact has 1 to {LONGEST} characters, got {len(text)}")
    plain_text(text, "name")
    parts = text.split("/")
    if PurePosixPath(text).is_absolute() or any(part in {"", ".", ".."} for part in parts):
        raise BadInputError(f"{text[:200]!r} is not usable as a name: expected a relative path without `.` and `..`")
    return text


def plain_text(text: str | None, what: str) -> str | None:
    """The text itself if every database can keep it; raises BadInputError."""
    if text is not None and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInputError(f"{text[:200]!r} is not usable as a {what}: it holds bytes that are no text")
    return text
