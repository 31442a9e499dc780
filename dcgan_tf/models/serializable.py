"""Objects that Keras saves in a model's file by their dataclass fields."""

import dataclasses
from typing import Any, Self


class Serializable:
    """Base of the dataclasses here, each of which is registered with Keras under its own name."""

    def get_config(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # pyright: ignore[reportArgumentType]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)
