"""Weights that a training begins with, taken from a model in the home's artifact store."""

import tempfile
from pathlib import Path
from typing import Any

from experiment_hub.artifacts.catalog import Catalog, Link, catalog
from experiment_hub.errors import BadInputError
from experiment_hub.plugins.protocol import StartsFrom
from experiment_hub.training.runtimes import tensors
from experiment_hub.training.runtimes.protocol import Work


def start(work: Work, model: Any) -> None:
    """Fill in what the configuration names, and record it as an input of the run."""
    plugin = work.blueprint.plugin
    source = plugin.starts_from(work.blueprint.config) if isinstance(plugin, StartsFrom) else None
    if source is None or not isinstance(plugin, StartsFrom):
        return
    found = catalog(work.folder.parents[1])  # HOME/runs/RUN
    digest = _digest(found, source)
    with tempfile.TemporaryDirectory(dir=work.folder, prefix=".base-") as temporary:
        found.fetch(digest, Path(temporary) / "model")
        plugin.start(model, tensors.read(Path(temporary) / "model" / tensors.FILE))
    found.link(digest, Link("run", work.folder.name, "base", role="input"))


def _digest(found: Catalog, source: str) -> str:
    """Of a run's model; anything that is not a run is taken for a digest, which the catalog checks."""
    links = [link.digest for link in found.links("run", source) if link.role == "model"]
    if links:
        return links[-1]
    if source.startswith("r-"):
        raise BadInputError(f"run {source} has left no model in this home")
    return source
