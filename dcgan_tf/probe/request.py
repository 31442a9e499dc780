"""What one call of the command asks for."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common.runs import Run

PICTURES = 20_000
FEWEST = 100  # pictures; of fewer the interval is wider than what is measured


@dataclass(frozen=True)
class ProbeRequest:
    """What one call asks for.

    Attributes:
        run: whose settings say what D was trained on; model: D's file; out: the record's file.
        data, dataset, crop: labelled pictures, None as the run has it.
        pictures: so many, or all of hardly more; seed: of that choice and of the split.
        packs: where pictures are kept prepared, None as the run has it.
    """

    run: Run
    model: Path
    out: Path
    data: str | None = None
    dataset: str | None = None
    crop: str | None = None
    pictures: int = PICTURES
    seed: int = 0
    packs: str | None = None
