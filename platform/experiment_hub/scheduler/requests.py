"""What somebody asks of the queue; the same record for the command line, the API and Python."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from experiment_hub.errors import BadInputError
from experiment_hub.scheduler.states import Repeatable
from experiment_hub.strict import StrictModel

DAY_S = 86_400.0
MAXIMUM_FILES_BYTES = 1 << 20

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""No NUL: neither PostgreSQL nor an argument of a process can hold one."""
Label = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
Argv = Annotated[list[Text], Field(min_length=1, max_length=10_000)]


class Resources(StrictModel):
    gpus: int = Field(default=0, ge=0, le=1024)
    gpu: Label | None = None
    """Kind, such as `H100`; any where it is not said."""
    cpus: float = Field(default=1.0, ge=0, le=4096)
    memory_mib: int = Field(default=0, ge=0, le=2**31 - 1)
    nodes: int = Field(default=1, ge=1, le=1024)
    label: Label | None = None
    """Only workers that were started with this label."""
    leases: list[Label] = Field(default_factory=list, max_length=16)
    """Named resources, such as a licence, of which one unit is needed each."""
    launcher: dict[str, Any] = Field(default_factory=dict)
    """What the launcher itself understands, such as a Slurm partition."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        twice = sorted(set(self.launcher) & set(type(self).model_fields))
        if twice:
            raise ValueError(f"launcher: {', '.join(twice)} stands one level up")
        return self

    def flat(self) -> dict[str, Any]:
        """As launchers and prices see it: what the launcher itself understands stands beside the rest."""
        return {**self.model_dump(exclude={"launcher"}), **self.launcher}


class Retry(StrictModel):
    times: int = Field(ge=0, le=100)
    argv: Argv | None = None
    """The command from then on, where the same one would fail again."""


def usual_retries() -> dict[Repeatable, Retry]:
    """What is nobody's fault."""
    return {"preempted": Retry(times=3), "lost": Retry(times=1)}


class JobRequest(StrictModel):
    argv: Argv
    again: Argv | None = None
    """The command of later attempts once a run of this job exists; `{run}` stands for its id."""
    name: Label
    project: Label = "default"
    environment: dict[Variable, Text] = Field(default_factory=dict)
    """Added to the small one that every job gets; it is stored, so it is no place for secrets."""
    folder: Text | None = None
    """Where the command runs; default: the attempt's own folder."""
    files: dict[FileName, Text] = Field(default_factory=dict)
    """Small files that the command finds in the attempt's own folder."""
    launcher: Label = "local"
    priority: int = Field(default=0, ge=-1000, le=1000)
    needs: list[str] = Field(default_factory=list, max_length=10_000)
    """Jobs that must have finished before."""
    resources: Resources = Resources()
    retries: dict[Repeatable, Retry] = Field(default_factory=usual_retries)
    timeout_s: float = Field(default=DAY_S, gt=0, le=90 * DAY_S)
    fan_out: Label | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.argv[0]:
            raise ValueError("argv: the command is empty")
        if sum(len(text.encode()) for text in self.files.values()) > MAXIMUM_FILES_BYTES:
            raise ValueError(f"files: together more than {MAXIMUM_FILES_BYTES} bytes; use an artifact")
        return self

    @property
    def attempts(self) -> int:
        """How often it may be started at most."""
        return 1 + sum(retry.times for retry in self.retries.values())


def parse(data: Mapping[str, Any]) -> JobRequest:
    """Raises BadInputError that names every key that is wrong."""
    try:
        return JobRequest.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'job'}: {each['msg']}" for each in error.errors())
        raise BadInputError(f"this job cannot be queued: {wrong}") from error
