"""What holds for a whole home: `hub.yaml` in it, or the defaults where there is none."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from experiment_hub.configuration.document import Document
from experiment_hub.configuration.reading import read
from experiment_hub.strict import StrictModel

FILE = "hub.yaml"


class CostSettings(StrictModel):
    """Limits on paid compute, in US dollars; below `ask_from` a job runs, from `stop_from` on it needs a reason as well."""

    ask_from: float = Field(default=5.0, ge=0)
    stop_from: float = Field(default=20.0, ge=0)
    day_cap: float = Field(default=20.0, ge=0)
    project_cap: float | None = Field(default=None, ge=0)
    rates: str | None = None
    """Path of a rate card beside the one that ships with the hub, relative to the home."""
    max_age_days: int = Field(default=90, ge=1)
    """A price older than this blocks a launch."""
    approval_hours: float = Field(default=24.0, gt=0, le=24 * 31)
    """An approval that nobody used by then is void."""
    runaway_factor: float | None = Field(default=None, gt=1)
    """Only where a person writes it: a job that has cost this many times what was expected is stopped."""


class RetentionSettings(StrictModel):
    """How long things stay that nothing needs."""

    checkpoints_days: int = Field(default=30, ge=0)
    grace_hours: float = Field(default=24.0, ge=0)
    """Between the two phases of a collection."""


class EvaluationSettings(StrictModel):
    final_uses: int = Field(default=1, ge=0)
    """How often the hidden final split of one dataset may be measured on."""


class Settings(StrictModel):
    version: Literal[1] = 1
    database: str | None = None
    """SQLAlchemy URL, `postgresql+psycopg://...` where several machines share it; default: SQLite in the home."""
    artifacts: str | None = None
    """fsspec URL such as `s3://bucket/folder`; default: a folder in the home."""
    project: str = "default"
    cost: CostSettings = CostSettings()
    retention: RetentionSettings = RetentionSettings()
    evaluation: EvaluationSettings = EvaluationSettings()


def settings(home: Path) -> Settings:
    """Typed and complete; raises ConfigurationError with file, line, key and what was expected."""
    path = home / FILE
    if not path.is_file():
        return Settings()
    data, lines = read(path)
    return Document(data, str(path), {place: f"{path}:{line}" for place, line in lines.items()}).parse(Settings, data)
