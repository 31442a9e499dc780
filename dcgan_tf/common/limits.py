"""Limits: how much is read or made at once, each with its unit and its reason. No TensorFlow."""

# Pictures and data files

MAX_MEGAPIXELS = 64.0  # default of --max-pixels: decoding one takes 7 to 11 bytes a pixel
MOST_MEGAPIXELS = 170.0  # --max-pixels at most: TensorFlow and Pillow decode no more
LARGE_PIXELS = 8_000_000  # pictures above are decoded one at a time, others side by side
MAX_WAITING_BYTES = 64 * 2**20  # encoded pictures that wait for their decoding
MAX_RAW_BYTES = 2**30  # an IDX or CIFAR-10 data set; MNIST has 55 MB, CIFAR-10 184 MB
MAX_ZIP_INDEX_BYTES = 512 * 2**20  # a zip's list of names; CelebA's has 20 MB


def max_file_bytes(megapixels):
    """int: the largest file that a picture of so many megapixels can need, bytes.

    Four bytes a pixel and a MiB for what else is in it: more is no picture that is decoded.
    """
    return int(megapixels * 4e6) + 2**20


def megabytes(count):
    """str: a number of bytes in words."""
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"
