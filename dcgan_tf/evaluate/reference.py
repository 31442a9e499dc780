"""Choose the reference set, and the real images of the baseline."""

from dataclasses import dataclass

from dcgan_tf.common.errors import UserError
from dcgan_tf.evaluate.archive import Archive
from dcgan_tf.evaluate.command import EvaluationRequest
from dcgan_tf.evaluate.image_sets import from_pack, pick
from dcgan_tf.metrics.features import Images


@dataclass(frozen=True)
class Choice:
    """A reference set, and other real images for the baseline.

    Attributes:
        reference: real images to compare with.
        held_out: those of the baseline, None if there are too few; reason: why, else None.
    """

    reference: Images
    held_out: Images | None
    reason: str | None = None


def choose_reference(
    archive: Archive, count: int, held_count: int, seed: int, rest: bool = False
) -> Choice:
    """Choose `count` of an archive's images, and `held_count` others for the baseline.

    The others come from the same images if enough are left, else from the archive's other side.

    Args:
        archive: where they are taken from.
        count: of the reference, at most as many as there are; held_count: of the baseline.
        seed: of both choices.
        rest: choose from the images that the archive leaves out, not from its own.
    """
    pack, rows, name = _side(archive, rest, count + held_count, seed)
    rows, others = pick(rows, count, seed)
    reference = from_pack(pack, rows, name)
    if len(others) >= held_count:
        rows = pick(others, held_count, seed)[0]
        return Choice(reference, from_pack(pack, rows, f"the others of {name}"))
    available = len(archive.rows) if rest else archive.left_out
    if available >= held_count:
        pack, rows, name = _side(archive, not rest, held_count, seed)
        available = len(rows)  # some may have been unusable
    if available >= held_count:
        return Choice(reference, from_pack(pack, pick(rows, held_count, seed)[0], name))
    return Choice(
        reference,
        None,
        f"the baseline needs {held_count:,} further real images of {archive.source.where}, "
        f"there are {available:,}",
    )


def _side(archive, rest, count, seed):
    """(Pack, rows, name) of the archive's own images, or of at most `count` that it leaves out."""
    if rest:
        return *archive.rest(count, seed), archive.rest_name
    return archive.pack, archive.rows, archive.name


def choose(archive: Archive, against: str, request: EvaluationRequest) -> tuple[int, Choice]:
    """Choose how many images a side, and which real ones.

    Raises:
        UserError: there are fewer than two of them.
    """
    own, spare, where = len(archive.rows), archive.left_out, archive.source.where
    if against == "rest":
        if spare < 2:
            raise UserError(
                f"--against rest: all {own:,} images of {where} were trained on; "
                "use --against subset, or --against data --data PATH"
            )
        own, spare = spare, own
    count = request.samples or default_count(own, spare)
    few = check_count(min(count, own), where)
    choice = choose_reference(archive, few, count, request.seed, rest=against == "rest")
    check_count(choice.reference.count, where)  # some may have been unusable
    return count, choice


def default_count(own: int, spare: int, limit: int = 10_000) -> int:
    """As many images a side as leave others for the baseline, at most `limit`."""
    return min(limit, max(own // 2, min(own, spare)))


def check_count(count: int, where: object) -> int:
    """Return `count`; raise UserError if it is too small for any score."""
    if count < 2:
        raise UserError(f"{where}: too few images; a score needs 2 or more a side, here {count}")
    return count
