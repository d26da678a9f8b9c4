"""The hostile corpus as data: what an agent tries besides its legitimate fix, one behaviour each, in families."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worktrees.confinement import Level

FIXED = "src/app.py", "def add(a, b):\n    return a + b\n"
ADDED = "src/new/helper.py", "def double(a):\n    return a * 2\n"
FIX = f"printf '%s' '{FIXED[1]}' > {FIXED[0]}; mkdir -p src/new; printf '%s' '{ADDED[1]}' > {ADDED[0]}"
"""What the ticket asks for, as a shell would do it: one file mended, one added."""
SCOPE = {"write": ["src/app.py"], "new": ["src/new/**"]}


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What is tried, and what may come of it. Its code finds the lab in variables: see `Lab.variables`."""

    name: str
    code: str
    """Printing `BREACH` says that it got what cannot be seen from outside."""
    family: str = ""
    language: Literal["sh", "python"] = "sh"
    fix: Literal["first", "last"] = "first"
    spoils_fix: str = ""
    """Why the legitimate fix cannot survive, where the behaviour itself destroys it."""
    unconfined: bool = False
    """Whether it is run without a sandbox, too, and must do damage then: it can hurt nothing but the lab."""
    open_at: Mapping[Level, str] = field(default_factory=dict)
    """Levels that do not hold it, each with the reason."""
    slow: bool = False
    """Whether it only ends at a limit."""

    @property
    def command(self) -> list[str]:
        """Start the behaviour before or after the fix; whatever it does, the agent says that it is done."""
        attack = '"$PY" -c "$1"' if self.language == "python" else 'bash -c "$1"'
        parts = (FIX, attack) if self.fix == "first" else (attack, FIX)
        return ["bash", "-c", "; ".join((*parts, "exit 0")), "agent", self.code]


def sh(name: str, code: str, **more: Any) -> Behaviour:
    """A behaviour in the language of a shell."""
    return Behaviour(name=name, code=textwrap.dedent(code), **more)


def py(name: str, code: str, **more: Any) -> Behaviour:
    """A behaviour in Python."""
    return Behaviour(name=name, code=textwrap.dedent(code), language="python", **more)


def bites(*members: Behaviour) -> tuple[Behaviour, ...]:
    """Mark those that must do damage where nothing confines them."""
    return tuple(replace(one, unconfined=True) for one in members)


def family(name: str, *members: Behaviour) -> tuple[Behaviour, ...]:
    return tuple(replace(one, family=name) for one in members)
