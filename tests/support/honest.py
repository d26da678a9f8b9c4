"""Honest changes, none of which any gate may refuse."""

from __future__ import annotations

from honest_other import OTHER
from honest_python import PYTHON

HONEST = (*PYTHON, *OTHER)
