"""What one call of the explorer asks for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ExploreRequest:
    """What one call asks for.

    Attributes:
        model: the generator's .keras file; name: of it, in words; how: the flag that names it.
        directions: a file that was named, or None; found: where one may lie that was not.
        port: of the local page, 0 for a free one; browser: whether to open it there.
        static: the file to write instead, or None; runtime: a folder with onnxruntime-web for it,
            or None to fetch it.
    """

    model: Path
    name: str
    how: str
    directions: Path | None
    found: tuple[Path, ...]
    port: int
    browser: bool
    static: Path | None
    runtime: Path | None
