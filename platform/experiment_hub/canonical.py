"""JSON in one form only, so that equal documents have equal hashes: keys in order, no white space, no NaN."""

import hashlib
import json
from typing import Any


def encoded(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def content_hash(document: Any) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(encoded(document)).hexdigest()
