"""What a series folder looks like.

Each writing process has a pair of files of its own, numbered in the order in which they were begun:

- `0000.points`: records of 32 bytes, little-endian: step (signed), time (seconds since the epoch), value, key.
  The key is written last, so a record with key 0 does not exist yet. Free room at the end is zeros.
- `0000.names`: one JSON string a line; the first line is key 1. A name stands there before any record uses its key.

A record with key REWIND takes back whatever earlier records say about steps after its own: a run went on from there.
Names that begin with TIMED are about the machine; their steps are seconds since the epoch, and nothing takes them back.
"""

import struct
from pathlib import Path

FOLDER = "series"
POINTS, NAMES = ".points", ".names"
RECORD = struct.Struct("<qddQ")
REWIND = 2**63
TIMED = "system/"


def point_files(folder: Path) -> list[Path]:
    """In the order in which they were begun."""
    found = folder.glob(f"*{POINTS}")
    return sorted((path for path in found if path.stem.isdigit()), key=lambda path: int(path.stem))
