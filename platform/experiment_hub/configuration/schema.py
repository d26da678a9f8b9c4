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

    @model_validator(mode="after")
    def sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > SUM_TOLERANCE:
            raise ValueError(f"train + val + test must be 1, got {total:g}")
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


class TrainingSection(StrictModel):
    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: float = Field(gt=0)
    optimizer: Literal["adamw", "adam", "sgd"]
    weight_decay: float = Field(ge=0)
    checkpoint_every_steps: PositiveInt
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto` takes the first CUDA device, or else the CPU."""


class DecisionRule(StrictModel):
    """The rule by which a candidate beats this experiment, written down before anything is measured."""

    metric: str
    split: Literal["val", "test"]
    minimum_effect: float = Field(ge=0)
    """In the metric's unit; a smaller mean improvement decides nothing."""


class ExperimentConfig(StrictModel):
    version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
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
        if self.decision and self.decision.metric not in self.metrics:
            raise ValueError(f"decision.metric {self.decision.metric!r} must be one of metrics {list(self.metrics)}")
        return self
