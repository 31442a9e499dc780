"""What one call of export asks for."""

from dataclasses import dataclass
from pathlib import Path

FORMATS = ("keras", "saved_model", "onnx", "litert")
HUB = "hub"  # a folder with several of them


@dataclass(frozen=True)
class ExportRequest:
    """What one call asks for.

    Attributes:
        model: the generator's .keras file.
        to: some of `FORMATS` and `HUB`, each once.
        out: the folder that is made, or None for the next free one of the run.
        licence: an identifier for the hub's card, such as "cc-by-4.0"; None: not said.
    """

    model: Path
    to: tuple[str, ...]
    out: Path | None = None
    licence: str | None = None
