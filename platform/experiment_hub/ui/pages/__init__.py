"""One module for each page."""

from experiment_hub.ui.pages import artifacts, compare, datasets, jobs, metrics, models, run, runs, sign_in, spend

ROUTERS = tuple(
    module.router for module in (sign_in, runs, run, compare, artifacts, metrics, datasets, models, jobs, spend)
)
