"""Every hostile behaviour, in one table."""

from __future__ import annotations

from hostile_files import FILES
from hostile_git import GIT
from hostile_names import NAMES_AND_OBJECTS
from hostile_processes import PROCESSES
from hostile_system import SYSTEM

HOSTILE = (*FILES, *GIT, *NAMES_AND_OBJECTS, *PROCESSES, *SYSTEM)
