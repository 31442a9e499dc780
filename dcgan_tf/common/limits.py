"""Limits of one command, far above real use, and numbers as text for messages."""

from pathlib import Path

SIDE = 4096  # pixels of an image's height and width
GRID_PIXELS = 2**26  # of a sample grid: 8192 x 8192, the most that Pillow reads without a warning
MEGAPIXELS = 64.0  # default of --max-pixels: decoding one takes 7 to 11 bytes a pixel
SEED = 2**32 - 1  # of numpy.random.RandomState
GENERATED = 100_000  # images of one `generate`; --limit raises it
SAMPLES = 1_000_000  # images per side of an evaluation: 12 GB of features, days on a CPU
TRUNCATION = 1_000_000  # factor on latents; networks saturate far below it
FILE_BYTES = 2**26  # of a file read at once: records, pages, directions, feature statistics
NETWORK_BYTES = 2**32  # of a network's file, also unpacked: the reference recipe's has 16 MB
MANIFEST_BYTES = 2**28  # of a pack's manifest: a million names of 200 bytes
VALUE_CHARACTERS = 80  # of a value in a message
MESSAGE_CHARACTERS = 2000  # of a message
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int:
    """Bytes that this process can use: memory and swap, or less in a container."""
    import psutil  # slow to import, and not needed by --help

    found = [psutil.virtual_memory().total + psutil.swap_memory().total]
    for path in map(Path, _CGROUPS):
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    return min(found)


def in_words(count: float) -> str:
    """Write a number of bytes, such as "12.3 MB" or "1.5 GB"."""
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun, such as "1 epoch" or "2,000 images"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def shorten(text: str, most: int = VALUE_CHARACTERS) -> str:
    """Shorten a long text for a message to its beginning and its length."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def shown(value) -> str:
    """Show a value in a message: its repr, shortened if it is long."""
    try:
        return shorten(repr(value))
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        return "something too long, or nested too deep"
