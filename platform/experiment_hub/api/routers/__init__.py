"""One module for each kind of thing."""

from experiment_hub.api.routers import artifacts, cost, datasets, events, jobs, metrics, models, runs, tokens

ROUTERS = tuple(module.router for module in (runs, metrics, artifacts, datasets, models, jobs, cost, tokens, events))
