"""The base of all schemas."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Unknown keys are mistakes, and what has been checked stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
