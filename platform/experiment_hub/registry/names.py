"""Names of models and aliases, and references such as `NAME@production`, `NAME@champion` or `NAME@3`."""

import unicodedata

from experiment_hub.errors import BadInputError

NONE, STAGING, PRODUCTION, ARCHIVED = "none", "staging", "production", "archived"
STAGES = (NONE, STAGING, PRODUCTION, ARCHIVED)
LONGEST = 200
_UNSEEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional controls make text look like other text."""


def model_name(text: str) -> str:
    """Any text that shows as what it is; raises BadInputError."""
    if not text or len(text) > LONGEST or text != text.strip():
        raise BadInputError(f"a model's name has 1 to {LONGEST} characters and no space at its ends, got {text[:99]!r}")
    if "@" in text:
        raise BadInputError(f"{text!r} cannot be a model's name: `@` stands between a name and a version")
    if any(unicodedata.category(each) in _UNSEEN or unicodedata.bidirectional(each) in _REORDERING for each in text):
        raise BadInputError(f"{text[:99]!r} cannot be a name: it holds characters that are not seen as they are")
    return text


def alias_name(text: str) -> str:
    """Neither a stage nor a number, because a reference must mean one thing."""
    if text in STAGES or text.isdigit():
        raise BadInputError(f"{text!r} cannot be an alias: stages and numbers already mean versions")
    return model_name(text)


def reference(text: str) -> tuple[str, str]:
    """Name, and what stands behind the `@`; raises BadInputError."""
    name, at, which = text.partition("@")
    if not at or not which:
        raise BadInputError(f"{text[:99]!r} names no version: expected NAME@production, NAME@ALIAS or NAME@NUMBER")
    return model_name(name), which
