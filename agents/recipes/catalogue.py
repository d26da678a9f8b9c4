"""The table of recipes. A new one is one module and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.recipes.protocol import Recipe

RECIPES: dict[str, Recipe] = {}
