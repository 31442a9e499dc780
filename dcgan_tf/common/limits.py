"""Limits on what one command may ask for, far above real use."""

from pathlib import Path

# Settings and the command line

SIDE = 4096  # pixels of an image's height and width
PARAMETERS = 1_000_000_000  # of G and D together; the reference recipe has 4.4 million
STEP_BYTES = 2**40  # feature maps of one step: 1 TiB
GRID_PIXELS = 2**26  # of a grid of samples: 8192 x 8192, the most that Pillow reads back unasked
SEED = 2**32 - 1  # of numpy.random.RandomState

# Messages and memory

VALUE_CHARACTERS = 80  # of a value in a message
MESSAGE_CHARACTERS = 2000  # of a message
PROGRAM_BYTES = 2**29  # of memory: TensorFlow with its libraries
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int:
    """Bytes that this process can use: memory and swap, or less in a container."""
    import psutil  # its import takes a while that --help need not wait for

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
    """Quote a text in a message: of a long one the beginning and the length."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"


def shown(value) -> str:
    """Show a value in a message: its repr, of a long one the beginning."""
    try:
        return shorten(repr(value))
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        return "something too long, or nested too deep"


# Networks and checkpoints in files, and images made with them

ZIP_INDEX_BYTES = 2**20  # of a zip's list of names, where there are hundreds: 1 MiB
GENERATED = 100_000  # images of one generate.py; --limit raises it
GENERATED_MOST = 10_000_000  # --limit at most: the file systems of today hold no more in one folder
TRUNCATION = 1_000_000  # factor on latents; far below, every network is saturated
SCALE = 64  # pixels that one pixel is enlarged to
GRID_PICTURES = 1024  # in grid.png and strip.png; a larger one is of no use
NETWORK_BYTES = 2**32  # of a .keras file, unpacked: 4 GiB; the reference recipe's has 16 MB
EXPANSION = 10  # times its size that a .keras file may unpack to; weights compress little
SMALL_BYTES = 2**29  # what it may unpack to in any case: 512 MiB
CONFIG_JSON_BYTES = 2**24  # of the description of a network: 16 MiB


def unpacks_to_too_much(claimed: int, size: int) -> bool:
    """Whether a .keras file of `size` bytes must not become `claimed` bytes in memory."""
    return claimed > min(NETWORK_BYTES, max(SMALL_BYTES, EXPANSION * size))


# Images and data files

MEGAPIXELS = 64.0  # default of --max-pixels: decoding one takes 7 to 11 bytes a pixel
LARGE_PIXELS = 8_000_000  # images above are decoded one at a time, others side by side
WAITING_BYTES = 64 * 2**20  # encoded images that wait for their decoding
RAW_BYTES = 2**30  # an IDX or CIFAR-10 data set; MNIST has 55 MB, CIFAR-10 184 MB
DATA_ZIP_INDEX_BYTES = 100 * 2**20  # a data zip's list of names; 8 times that in memory


def picture_bytes(megapixels: float) -> int:
    """The largest file that is decoded: four bytes a pixel and a MiB for what else is in it."""
    return int(megapixels * 4e6) + 2**20


# Evaluation

SAMPLES = 1_000_000  # images a side: 12 GB of features, days of a CPU
HELD_SAMPLES = 50_000  # with --memorisation, which holds the images: 0.6 GB at 64x64
SCORED_SIZE = 1024  # pixels a side; the network sees images at 299
SCORED_BYTES = 2**26  # of images that are read at once to be scored
INCEPTION_BYTES = 2**28  # of weights, on disk and unpacked; true ones have 96 MB

# Other files that this process did not write

FILE_BYTES = 2**26  # of one that is read whole: records, pages, directions, statistics of features
MANIFEST_BYTES = 2**28  # of a pack's: a million names of 200 bytes
