"""The shape of an experiment's YAML file: the only home of seeds and hyperparameters."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, NonNegativeInt, PositiveInt, model_validator

from experiment_hub.strict import StrictModel

SUM_TOLERANCE = 1e-9  # fractions such as 0.8 + 0.1 + 0.1 are not exact in binary

Fraction = Annotated[float, Field(gt=0, lt=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Seeds = Annotated[tuple[Annotated[NonNegativeInt, Field(lt=2**32)], ...], Field(min_length=1)]


class Splits(StrictModel):
    train: Fraction
    val: Fraction
    test: Fraction
    final: Fraction | None = None
    """A hidden share that training never sees: `hub eval --final` measures on it, and each use is counted."""
    leave_out: str | None = None
    """A group whose samples alone are `test`; `hub eval --leave-one-group-out` trains once for each group."""

    @model_validator(mode="after")
    def sum_to_one(self) -> Self:
        total = self.train + self.val + self.test + (self.final or 0)
        if abs(total - 1) > SUM_TOLERANCE:
            names = "train + val + test" if self.final is None else "train + val + test + final"
            raise ValueError(f"{names} must be 1, got {total:g}")
        return self


class ModelSection(StrictModel):
    """`type` and, next to it, the hyperparameters that the plugin of that name asks for."""

    model_config = ConfigDict(extra="allow")

    type: str


class DataSection(StrictModel):
    """`name`, `splits` and, next to them, the settings that the dataset of that name asks for."""

    model_config = ConfigDict(extra="allow")

    name: str
    splits: Splits


class ClipSection(StrictModel):
    """Bounds the gradients of each step; exactly one of the two."""

    norm: float | None = Field(default=None, gt=0)
    """Largest Euclidean norm over all gradients together."""
    value: float | None = Field(default=None, gt=0)
    """Largest absolute value of each gradient."""

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        if (self.norm is None) == (self.value is None):
            raise ValueError("expected exactly one of norm and value")
        return self


class ScheduleSection(StrictModel):
    """The learning rate as a function of the step alone, so that a resumed run needs no memory of it."""

    kind: Literal["constant", "linear", "cosine", "step"]
    warmup_steps: NonNegativeInt = 0
    """Rises linearly to the full rate over so many steps."""
    minimum: float = Field(default=0.0, ge=0, le=1)
    """Share of the full rate that linear and cosine end at."""
    every_steps: PositiveInt | None = None
    factor: float | None = Field(default=None, gt=0, le=1)
    """`step` multiplies the rate by this every so many steps."""

    @model_validator(mode="after")
    def step_is_complete(self) -> Self:
        if (self.kind == "step") != (self.every_steps is not None and self.factor is not None):
            raise ValueError("every_steps and factor belong to kind step, which needs both")
        return self


class EarlyStopSection(StrictModel):
    metric: str
    """`val.METRIC`; the metric's definition says which direction is better."""
    patience: PositiveInt
    """Epochs without a better figure after which training ends."""
    minimum_delta: float = Field(default=0.0, ge=0)
    """A smaller gain is none."""


class GuardSection(StrictModel):
    """A loss or gradient that is NaN or infinite ends the run; the last good checkpoint stays."""

    skip_steps: PositiveInt
    """So many of them are left out instead, without an update of the weights; needs the gradients' norm at every step."""


class CheckpointSection(StrictModel):
    every_seconds: float | None = Field(default=30.0, gt=0)
    """Besides `checkpoint_every_steps`: bounds the work that a crash can cost."""
    keep: PositiveInt = 2
    """So many of the newest; a damaged one is passed over for the one before."""
    best: str | None = None
    """`val.METRIC`: the best epoch's is kept as well, and its weights are the model that the run leaves behind."""


class GradientCheckSection(StrictModel):
    """One batch before training: every trainable parameter gets a finite gradient, frozen ones get none."""

    mode: Literal["strict", "report", "off"] = "report"
    """`strict` refuses to train; `report` says it and goes on."""
    allow: tuple[str, ...] = ()
    """Patterns such as `head.*` of parameters that may go without."""


class LogSection(StrictModel):
    every_steps: PositiveInt = 1
    gradient_norm_every_steps: PositiveInt | None = None


class DistributedSection(StrictModel):
    """Under `torchrun`; `batch_size` stays the size of the whole batch, each process takes its share."""

    strategy: Literal["ddp", "fsdp"]
    processes: PositiveInt
    timeout_seconds: float = Field(default=300.0, gt=0)
    """A process that waits longer for another gives up, and the run has failed."""


class TrainingSection(StrictModel):
    """Keys with a default are off or neutral without being named."""

    epochs: PositiveInt
    batch_size: PositiveInt
    """Samples per update of the weights."""
    learning_rate: float = Field(gt=0)
    optimizer: Literal["adamw", "adam", "sgd"]
    weight_decay: float = Field(ge=0)
    checkpoint_every_steps: PositiveInt
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto` takes the first CUDA device, or else the CPU."""
    micro_batch_size: PositiveInt | None = None
    """Gradient accumulation: samples per forward pass, where a whole batch does not fit into memory."""
    clip: ClipSection | None = None
    schedule: ScheduleSection | None = None
    precision: Literal["bf16", "fp16"] | None = None
    """Mixed precision by autocast, fp16 with a gradient scaler; without it everything is float32."""
    optimizer_kernel: Literal["fused", "foreach", "forloop"] | None = None
    """How torch carries out an update; without it torch chooses."""
    early_stop: EarlyStopSection | None = None
    guard: GuardSection | None = None
    determinism: Literal["strict", "warn", "off"] | None = None
    """Without it `strict`: an operation that is not deterministic fails; `warn` lists them in the run's snapshot."""
    distributed: DistributedSection | None = None
    checkpoints: CheckpointSection = CheckpointSection()
    gradient_check: GradientCheckSection = GradientCheckSection()
    log: LogSection = LogSection()
    callbacks: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    """Registered callbacks by name, each with its own settings."""

    @model_validator(mode="after")
    def micro_batch_fits(self) -> Self:
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise ValueError(f"micro_batch_size must be at most batch_size, got {self.micro_batch_size}")
        return self

    @model_validator(mode="after")
    def scaler_sees_all_gradients(self) -> Self:
        if self.precision == "fp16" and self.distributed is not None and self.distributed.strategy == "fsdp":
            raise ValueError("precision fp16 needs whole gradients for its scaler; with strategy fsdp use bf16")
        return self


class DecisionRule(StrictModel):
    """The rule by which a candidate beats this experiment, written down before anything is measured."""

    metric: str
    split: Literal["val", "test"]
    minimum_effect: float = Field(ge=0)
    """In the metric's unit; a smaller mean improvement decides nothing."""


class ExperimentConfig(StrictModel):
    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=200)
    model: ModelSection
    data: DataSection
    training: TrainingSection
    seeds: Seeds
    """One run each."""
    metrics: Names
    decision: DecisionRule | None = None
    smoke: dict[str, JsonValue] = Field(default_factory=dict)
    """Dotted overrides that make the experiment small enough for `--smoke`."""

    @model_validator(mode="after")
    def consistent(self) -> Self:
        for label, values in (("seeds", self.seeds), ("metrics", self.metrics)):
            if len(set(values)) != len(values):
                raise ValueError(f"{label} must not repeat a value, got {list(values)}")
        for key, watched in self._watched():
            if watched.partition(".")[::2] not in [("val", metric) for metric in self.metrics]:
                raise ValueError(f"training.{key} {watched!r} must be val. and one of metrics {list(self.metrics)}")
        if self.decision and self.decision.metric not in self.metrics:
            raise ValueError(f"decision.metric {self.decision.metric!r} must be one of metrics {list(self.metrics)}")
        return self

    def _watched(self) -> list[tuple[str, str]]:
        """Keys of `training` that name a figure."""
        training = self.training
        stop = training.early_stop.metric if training.early_stop else None
        named = {"early_stop.metric": stop, "checkpoints.best": training.checkpoints.best}
        return [(key, figure) for key, figure in named.items() if figure is not None]
