"""Image files of kinds that Pillow does not write: PNG and TIFF by hand, ICC profiles."""

import struct
import zlib

import numpy as np


def png_file(depth, color, pixels, chunks=()):
    """bytes: a PNG of unsigned big-endian samples (height, width, channels).

    Args:
        depth: 8 or 16 bits; color: PNG's color type; chunks: (name, content) before the pixels.
    """
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">2I5B", width, height, depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff_file(content, size, bits, *, samples=1, kind=1, photometric=1, extra=()):
    """bytes: an uncompressed little-endian TIFF of one strip.

    Args:
        size: (width, height); bits: of each sample; kind: 1 unsigned, 2 signed, 3 floating point;
        extra: values of the tag ExtraSamples.
    """
    width, height = size
    tags = {
        256: [width],
        257: [height],
        258: [bits] * samples,
        259: [1],
        262: [photometric],
        273: [8],
        277: [samples],
        278: [height],
        279: [len(content)],
        338: list(extra),
        339: [kind] * samples,
    }
    tags = {tag: values for tag, values in tags.items() if values}
    content += bytes(len(content) % 2)
    start = 8 + len(content)
    later, entries = b"", b""
    for tag, values in tags.items():
        long = tag in (273, 279)
        data = struct.pack(f"<{len(values)}{'I' if long else 'H'}", *values)
        if len(data) > 4:
            place = struct.pack("<I", start + 2 + 12 * len(tags) + 4 + len(later))
            later, data = later + data, place
        entries += struct.pack("<HHI", tag, 4 if long else 3, len(values)) + data.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + bytes(4) + later
    return b"II*\0" + struct.pack("<I", start) + content + directory


WHITE = (0.9642, 1.0, 0.8249)  # D50, to which ICC profiles relate all colors
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def _fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values):
    return b"XYZ \0\0\0\0" + _fixed(*values)


def gamma(value):
    """bytes: a curve of an ICC profile."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def srgb_curve():
    encoded = np.linspace(0, 1, 1024)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    values = np.rint(linear * 65535).astype(">u2").tobytes()
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + values


def _profile(space, connection, kind, tags):
    tags = {b"wtpt": _xyz(WHITE)} | tags
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">2I", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(*WHITE)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(primaries, curve):
    """bytes: an ICC profile of three primaries (XYZ of red, green and blue, for D50)."""
    names = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")
    tags = dict(zip(names[0], map(_xyz, primaries), strict=True)) | dict.fromkeys(names[1], curve)
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


def gray_profile(curve):
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": curve})


def cmyk_profile(lab):
    """bytes: an ICC profile with a Lab color, each 0 to 255, for each corner of CMYK (16, 3)."""
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return _profile(
        b"CMYK", b"Lab ", b"prtr", {b"A2B0": head + ramp * 4 + np.uint8(lab).tobytes() + ramp * 3}
    )
