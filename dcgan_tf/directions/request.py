"""What one call of the command asks for."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common.runs import Run, run_of

SAMPLES = 20_000  # that are scored


@dataclass(frozen=True)
class DirectionsRequest:
    """What one call asks for.

    Attributes:
        model: the generator's file; out: the folder that is written into; count: how many
            directions of the first kernel, and as many of the first maps.
        attributes: a table of attributes, or None for no directions of labels.
        data, judge_data: labelled pictures of the first head and of the one that judges; None for
            the run's, and for others of the same data.
        crop: how they are cropped, None as the run has it; packs: where they are kept prepared.
        samples: generated pictures that are scored.
    """

    model: Path
    out: Path
    count: int = 8
    attributes: Path | None = None
    data: str | None = None
    judge_data: str | None = None
    crop: str | None = None
    packs: str | None = None
    samples: int = SAMPLES


def owner(model: Path) -> Run | None:
    """The run whose generator, or best generator, a file is; None where no run says so."""
    run, path = run_of(model), model.absolute()
    own = path in (run.generator.absolute(), run.best_generator.absolute())
    return run if own and run.config.is_file() else None
