"""What is evaluated: a run's model, a registered model by alias, stage or version, or an artifact by its digest."""

from dataclasses import dataclass

from experiment_hub.artifacts.catalog import Catalog
from experiment_hub.artifacts.digests import PREFIX
from experiment_hub.errors import BadInputError
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Run
from experiment_hub.registry.models import of_run, resolve


@dataclass(frozen=True)
class Subject:
    reference: str
    """As the person wrote it."""
    digest: str
    run_id: str | None


def subject(catalog: Catalog, reference: str) -> Subject:
    """Raises BadInputError."""
    if "@" in reference:
        version = resolve(catalog, reference)
        return Subject(reference, version.digest, version.run_id)
    if reference.startswith(PREFIX):
        return Subject(reference, catalog.record(reference).digest, None)
    with reading(catalog.engine) as session:
        run = session.get(Run, reference)
    if run is None:
        raise BadInputError(f"{reference!r}: expected a run, MODEL@ALIAS, MODEL@VERSION or {PREFIX}DIGEST of this home")
    return Subject(reference, of_run(catalog, run.id), run.id)
