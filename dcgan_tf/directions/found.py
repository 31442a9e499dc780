"""One direction, with the facts measured about it."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Found:
    """One direction.

    Attributes:
        name: such as `kernel 1`; kind: of common.directions.KINDS; vector: float32 (latent_dim,),
            of length 1; reach: as common.directions has it; facts: what else is known of it, for
            the report.
    """

    name: str
    kind: str
    vector: np.ndarray
    reach: float
    facts: dict = field(default_factory=dict)
