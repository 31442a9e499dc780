"""What one call of the command asks for."""

from dataclasses import dataclass

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run


@dataclass(frozen=True)
class EvaluationRequest:
    """The command line, read and checked.

    Attributes:
        places: folders or zips A (real) and B (scored), or with `listing` the runs; else empty.
        listing: print the scores that runs already have.
        run: whose generator is scored, or None.
        data: where the run's pictures are, or other ones; None as the run has it.
        against: "subset", "rest", "data", or None for what the data tells.
        samples: pictures a side, 0 for as many as leave a floor.
        layer: "pool_3", "mixed_7", or None for the deepest that the weights reach.
        inception: file of the weights, or None to download them.
        seed: which pictures are drawn, 0..2**32-1.
        crop, scored_crop: of A and B, "center" or a box; size: their height and width after it.
        memorisation: look for copies instead.
        json: print the record as one line.
        cache: folder for features, packs: for prepared pictures; None for the usual ones.
    """

    places: tuple[str, ...] = ()
    listing: bool = False
    run: Run | None = None
    data: str | None = None
    against: str | None = None
    samples: int = 0
    layer: str | None = None
    inception: str | None = None
    seed: int = 0
    crop: str = "center"
    scored_crop: str = "center"
    size: int = 64
    memorisation: bool = False
    json: bool = False
    cache: str | None = None
    packs: str | None = None


def without_flag(opens, *args):
    """Call `opens`, whose errors are about --data; here the place was given without a flag."""
    try:
        return opens(*args)
    except UserError as error:
        raise UserError(error.message, flag=error.flag.removeprefix("--data ")) from None
