"""How far a share that was counted may be from the true one."""

import math

NORMAL_95 = 1.959964  # standard deviations of the normal distribution that hold 95%


def wilson(hits: int, count: int) -> tuple[float, float]:
    """A 95% interval of a share (Wilson 1927), which keeps its promise near 0 and 1, too.

    Args:
        hits: of `count`, 1 or more.

    Returns:
        The lower and the upper end, 0..1.
    """
    share, spread = hits / count, NORMAL_95**2 / count
    middle = share + spread / 2
    width = NORMAL_95 * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    ends = (middle - width) / (1 + spread), (middle + width) / (1 + spread)
    return max(ends[0], 0.0), min(ends[1], 1.0)
