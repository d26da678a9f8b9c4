"""All tables; importing this package makes every one of them known to the declarative base."""

from experiment_hub.metadata.tables.access import IdempotencyKey, Token
from experiment_hub.metadata.tables.artifacts import Artifact, ArtifactLink, ArtifactOwner, ArtifactPart
from experiment_hub.metadata.tables.base import Base
from experiment_hub.metadata.tables.cost import Approval, CostEntry, Estimate
from experiment_hub.metadata.tables.data import DatasetVersion, HoldoutUse
from experiment_hub.metadata.tables.evaluations import Evaluation
from experiment_hub.metadata.tables.jobs import Job, JobDependency, JobEvent, NamedLease, Worker
from experiment_hub.metadata.tables.metrics import MetricVersion
from experiment_hub.metadata.tables.models import ModelAlias, ModelEvent, ModelVersion, RegisteredModel
from experiment_hub.metadata.tables.runs import MetricValue, Run, RunMetric, RunParameter, RunTag

__all__ = [
    "Approval",
    "Artifact",
    "ArtifactLink",
    "ArtifactOwner",
    "ArtifactPart",
    "Base",
    "CostEntry",
    "DatasetVersion",
    "Estimate",
    "Evaluation",
    "HoldoutUse",
    "IdempotencyKey",
    "Job",
    "JobDependency",
    "JobEvent",
    "MetricValue",
    "MetricVersion",
    "ModelAlias",
    "ModelEvent",
    "ModelVersion",
    "NamedLease",
    "RegisteredModel",
    "Run",
    "RunMetric",
    "RunParameter",
    "RunTag",
    "Token",
    "Worker",
]
