"""Text that comes from outside and goes into a database: no NUL, no half of a surrogate pair, not endless."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

PLAIN = r"^[^\u0000]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
Sentence = Annotated[str, Field(min_length=1, max_length=2000, pattern=PLAIN)]
PlainText = Annotated[str, Field(max_length=2000, pattern=PLAIN)]
Id = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN)]
Text = Annotated[str, Query(max_length=2000, pattern=PLAIN)]
MaybeText = Annotated[str | None, Query(max_length=2000, pattern=PLAIN)]


def is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
