"""The table of recipes. A new one is one module and one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.recipes import dataset, metric, model, trial

if TYPE_CHECKING:
    from agents.recipes.protocol import Recipe

RECIPES: dict[str, Recipe] = {
    model.RECIPE.name: model.RECIPE,
    trial.RECIPE.name: trial.RECIPE,
    metric.RECIPE.name: metric.RECIPE,
    dataset.RECIPE.name: dataset.RECIPE,
}
