"""The one pydantic base: unknown keys are refused, nothing is coerced, values do not change."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Hyperparameters(StrictModel):
    """Settings of a model or a dataset; every field is required, so that YAML is their only home."""
