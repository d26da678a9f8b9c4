"""Where a run comes from, and what came out of it."""

from pydantic import BaseModel
from sqlalchemy import select

from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import ArtifactLink, DatasetVersion, Evaluation, ModelVersion, Run

MOST = 200


class Related(BaseModel):
    id: str
    what: str
    """For people."""


class Lineage(BaseModel):
    parent: Related | None
    children: list[Related]
    job: str | None
    datasets: list[Related]
    """Registered states whose samples were those of the run."""
    inputs: list[dict[str, str]]
    """What a script said it read."""
    artifacts: list[Related]
    models: list[Related]
    evaluations: list[Related]


def lineage(store: MetadataStore, run_id: str) -> Lineage:
    """Raises UnknownRunError."""
    run = store.run(run_id)
    with reading(store.engine) as session:
        parent = session.get(Run, run.parent_id) if run.parent_id else None
        children = session.scalars(select(Run).where(Run.parent_id == run_id).order_by(Run.created_at).limit(MOST))
        data = session.scalars(select(DatasetVersion).where(DatasetVersion.fingerprint == run.dataset_hash).limit(MOST))
        links = select(ArtifactLink).where(ArtifactLink.owner_kind == "run", ArtifactLink.owner == run_id)
        versions = session.scalars(select(ModelVersion).where(ModelVersion.run_id == run_id).limit(MOST))
        evaluations = session.scalars(select(Evaluation).where(Evaluation.run_id == run_id).limit(MOST))
        return Lineage(
            parent=Related(id=parent.id, what=parent.name) if parent else None,
            children=[Related(id=each.id, what=f"{each.name}, {each.kind}, {each.state}") for each in children],
            job=run.job_id,
            datasets=[Related(id=f"{each.name}@{each.version}", what=f"{each.samples} samples") for each in data],
            inputs=[{str(key): str(value) for key, value in each.items()} for each in run.inputs or []],
            artifacts=[Related(id=each.digest, what=each.name) for each in session.scalars(links.limit(MOST))],
            models=[Related(id=each.model, what=f"version {each.version}, {each.stage}") for each in versions],
            evaluations=[Related(id=each.id, what=f"{each.dataset}, {each.split}") for each in evaluations],
        )
