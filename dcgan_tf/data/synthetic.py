"""Draw faces in CelebA's aligned geometry: training data without a download.

Shapes are polygons on a canvas at twice the final size, which is averaged down at the end. Soft
shading is painted and blurred at half the final size, and pasted through a sharp mask.

Face coordinates: x to the right and y down, in pixels of the final image, from the point
halfway between the eyes. A depth says how many pixels a part moves when the head turns: positive
for the nose, in front of the eyes; negative for ears and hair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

DRAWING_VERSION = 1  # bump it whenever the images change

WIDTH, HEIGHT = 178, 218
EYES_X, EYES_Y, EYE_GAP = 88.5, 111.0, 19.5  # CelebA's mean: eyes at (69, 111) and (108, 111)
SHARP, SOFT = 2, 0.5  # zoom of the canvas, and of the layers that get blurred
HEAD, MOUTH, NOSE = -4.0, 1.5, 5.0  # depths; the eyes' is 0, so that they stay aligned

Color = tuple[int, ...]  # RGB
Point = tuple[float, float]
T = TypeVar("T")
SKINS = [(255, 224, 200), (248, 210, 180), (240, 194, 158), (224, 170, 128)]
SKINS.extend([(200, 142, 100), (168, 112, 76), (130, 84, 58), (104, 66, 46)])
DARK_HAIR = [(30, 26, 28), (50, 35, 28), (78, 50, 35)]
FAIR_HAIR = [(114, 70, 40), (152, 70, 34), (178, 128, 66), (226, 188, 112)]
GRAY_HAIR = [(150, 148, 150), (212, 210, 206)]
IRISES = [(84, 52, 30), (110, 72, 36), (70, 118, 170), (84, 134, 88), (112, 126, 138)]
CLOTHES = [(52, 74, 110), (140, 50, 56), (60, 104, 88), (222, 216, 204), (204, 150, 62)]
BACKDROPS = [(176, 202, 220), (222, 206, 178), (150, 178, 158), (206, 176, 184), (112, 130, 152)]
BACKDROPS.extend([(232, 230, 226), (96, 104, 104), (196, 148, 112), (134, 122, 158), (66, 84, 104)])
FRAMES = [(28, 26, 30), (92, 52, 34), (60, 66, 92), (150, 112, 56)]
SOFT_STYLES = ["long", "bob", "fringe", "bun", "curly"], [0.34, 0.2, 0.2, 0.14, 0.12]
STYLES = ["short", "swept", "receding", "bald", "curly"], [0.34, 0.3, 0.1, 0.14, 0.12]

# Hair in front of the head: the right half of its outer contour, from its end up to the crown...
SHORT = [(43, 0), (47, -25), (42, -51), (24, -66), (0, -70)]
LONG = [(56, 135), (55, 26), (53, -16), (46, -48), (26, -67), (0, -71)]
CONTOURS = {"fringe": LONG, "long": LONG, "bob": [(50, 44), *LONG[1:]]}  # of the others: SHORT
HAIRLINES = {  # ...and the right half of its hairline, from the middle down to that end
    "short": [(12, -38), (27, -35), (35, -22), (38, 0)],
    "swept": [(34, -18), (38, 0)],
    "receding": [(10, -47), (24, -47), (33, -34), (36, -20), (38, 0)],
    "curly": [(8, -39), (20, -34), (29, -33), (34, -22), (38, 0)],
    "bun": [(10, -44), (25, -37), (35, -20), (39, 2)],
    "fringe": [(14, -20), (30, -18), (36, -4), (38, 22), (33, 135)],
    "bob": [(16, -38), (31, -22), (38, 0), (39, 22), (34, 44)],
    "long": [(16, -38), (31, -22), (38, 0), (40, 26), (33, 135)],
}
PARTINGS = {  # what lies between the two halves of the hairline, from left to right
    "swept": [(-30, -36), (-20, -46), (0, -39), (20, -29)],
    "bob": [(9, -50)],
    "long": [(9, -50)],
}

_ANGLES = np.linspace(0, 2 * np.pi, 32, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_T = np.linspace(0, 1, 6, endpoint=False)[:, None] ** np.arange(4)
_SPLINE = _T @ [[0, 1, 0, 0], [-0.5, 0, 0.5, 0], [1, -2.5, 2, -0.5], [-0.5, 1.5, -1.5, 0.5]]


class _Layer:
    """An image on which shapes given in face coordinates are filled."""

    def __init__(self, face: _Face, zoom: float, color: Color | int):
        mode = "L" if isinstance(color, int) else "RGB"
        self.face, self.zoom = face, zoom
        self.image = Image.new(mode, (int(WIDTH * zoom), int(HEIGHT * zoom)), color)
        self.draw = ImageDraw.Draw(self.image)
        cos, sin = (zoom * face.scale * f(face.tilt) for f in (math.cos, math.sin))
        self.turn = np.array([[cos, sin], [-sin, cos]])

    def fill(self, points: np.ndarray, color: Color | int, depth: float = 0) -> None:
        placed = (points + (depth * self.face.yaw, 0)) @ self.turn
        placed += np.multiply(self.face.center, self.zoom)
        # The rasterizer would truncate; whole pixels also come out the same on every machine.
        self.draw.polygon(np.rint(placed).astype(int).ravel().tolist(), fill=color)

    def dot(self, x: float, y: float, rx: float, ry: float, color: Color | int, depth: float = 0):
        self.fill(_CIRCLE * (rx, ry) + (x, y), color, depth)

    def stroke(self, path: np.ndarray, start: float, end: float, color: Color, depth: float = 0):
        """Draw a line with round ends whose width goes from `start` to `end`."""
        along = np.gradient(path, axis=0)
        across = along[:, ::-1] * (-0.5, 0.5) / np.hypot(along[:, :1], along[:, 1:])
        across *= np.linspace(start, end, len(path))[:, None]
        self.fill(np.concatenate([path + across, (path - across)[::-1]]), color, depth)
        for (x, y), width in ((path[0], start), (path[-1], end)):
            self.dot(x, y, width / 2, width / 2, color, depth)

    def paste(self, soft: _Layer, outline: np.ndarray, depth: float) -> None:
        """Blur `soft` and paste the part of it inside `outline`."""
        mask = _Layer(self.face, self.zoom, 0)
        mask.fill(outline, 255, depth)
        # Enlarging no more than this is what keeps it fast.
        box = left, top, right, bottom = mask.image.getbbox() or (0, 0, *mask.image.size)
        scale, size = soft.zoom / self.zoom, (right - left, bottom - top)
        source = (left * scale, top * scale, right * scale, bottom * scale)
        blurred = soft.image.filter(ImageFilter.GaussianBlur(2))
        part = blurred.resize(size, Image.Resampling.BILINEAR, box=source)
        self.image.paste(part, box, mask.image.crop(box))


def _curve(points: Sequence[Point], closed: bool = False) -> np.ndarray:
    """A Catmull-Rom spline through the points: float array (n, 2)."""
    p = np.array(points, float)
    p = np.concatenate([p[-1:], p, p[:2]] if closed else [p[:1], p, p[-1:]])
    windows = np.stack([p[i : len(p) - 3 + i] for i in range(4)], axis=1)
    dense = (_SPLINE @ windows).reshape(-1, 2)
    return dense if closed else np.concatenate([dense, p[-2:-1]])


def _mirror(half: Sequence[Point], middle: Sequence[Point] = ()) -> list[Point]:
    """Complete a shape from its right half (listed away from the middle) and what lies between."""
    return [*((-x, y) for x, y in half[::-1]), *middle, *half]


def _mix(a: Color, b: Color, t: float) -> Color:
    return tuple(round(p + (q - p) * t) for p, q in zip(a, b, strict=True))


def _pick(rng: np.random.Generator, options: Sequence[T], weights: list[float] | None = None) -> T:
    return options[rng.choice(len(options), p=weights)]


class _Face:
    """Traits that several parts share; each part draws its other traits itself.

    `center` lies between the eyes, in pixels of the image; `tilt` is in radians, `yaw` from -1 to
    1; `light` is the lit side, -1 left or 1 right; `soft` means a softer jaw, fuller lashes and
    lips, longer hair and no beard; `shade` and `glow` are the skin in shadow and in the light.
    """

    def __init__(self, rng: np.random.Generator):
        tone = (len(SKINS) - 1) * rng.random() ** 1.3  # fewer dark ones: features contrast less
        self.skin = skin = _mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1)
        self.shade = tuple(int(c * k) for c, k in zip(skin, (0.76, 0.64, 0.6), strict=True))
        limits = zip(skin, (255, 236, 216), strict=True)
        self.glow = tuple(min(int(c * 1.12 + 6), most) for c, most in limits)
        self.soft = bool(rng.random() < 0.5)
        fair = 0.5 if tone < 3 else 0.06
        colors = _pick(rng, [DARK_HAIR, FAIR_HAIR, GRAY_HAIR], [0.9 - fair, fair, 0.1])
        self.hair = _pick(rng, colors)
        self.brows = _mix(self.hair, (44, 30, 26), 0.45)
        self.center = EYES_X + rng.triangular(-3, 0, 3), EYES_Y + rng.triangular(-3, 0, 3)
        self.scale = rng.uniform(0.95, 1.03)
        self.tilt = rng.triangular(-0.09, 0, 0.09)
        self.yaw = rng.triangular(-1, 0, 1)
        self.light = _pick(rng, [-1, 1])
        self.style = _pick(rng, *(SOFT_STYLES if self.soft else STYLES))


def _draw_background(canvas: _Layer, rng: np.random.Generator) -> None:
    first, other = _pick(rng, BACKDROPS), _pick(rng, BACKDROPS)
    second = _mix(first, other, 0.7)
    kind = _pick(rng, ["plain", "gradient", "two-tone", "halo"])
    canvas.image.paste(first, (0, 0, *canvas.image.size))
    if kind == "gradient":
        middle = _mix(first, second, rng.uniform(0.2, 0.8))
        corners = np.array([first, middle, middle, second], np.uint8).reshape(2, 2, 3)
        corners = Image.fromarray(corners[:, :: _pick(rng, [-1, 1])].copy())
        box = (0.5, 0.5, 1.5, 1.5)  # from one pixel's middle to the other's
        canvas.image.paste(corners.resize(canvas.image.size, Image.Resampling.BILINEAR, box))
    elif kind == "two-tone":
        edge, lean = rng.uniform(-70, 70), rng.uniform(-40, 40)
        far = math.copysign(300, edge)
        shape = [(edge - lean, -200), (edge + lean, 200), (far, 200), (far, -200)]
        canvas.fill(np.array(shape), second)
    elif kind == "halo":
        canvas.dot(0, -5, 76, 80, second)


def _head_outline(face: _Face, rng: np.random.Generator) -> np.ndarray:
    jaw = rng.uniform(-3, 1) if face.soft else rng.uniform(-0.5, 3.5)
    chin = rng.uniform(57, 62)
    half = [(20, -54), (37, -36), (42, -8), (40, 20), (31 + jaw, 42), (15 + jaw, chin - 4)]
    return _curve([*_mirror(half, [(0, -58)]), (0, chin)], closed=True)


def _hair_outline(face: _Face) -> np.ndarray | None:
    if face.style == "bald":
        return None
    half = CONTOURS.get(face.style, SHORT)
    contour = [(-x, y) for x, y in half] + half[-2::-1]
    hairline = _mirror(HAIRLINES[face.style], PARTINGS.get(face.style, ()))
    outline = np.concatenate([_curve(contour), _curve(hairline)[::-1]])
    return outline * (face.light, 1)  # part the hair on either side


def _draw_hair_back(canvas: _Layer, face: _Face) -> None:
    dark = _mix(face.hair, (12, 8, 12), 0.35)
    if face.style in ("long", "fringe", "bob"):
        end = 45 if face.style == "bob" else 135
        half = [(30, -62), (52, -30), (55, 14), (53, end - 8), (40, end)]
        canvas.fill(_curve(_mirror(half), closed=True), dark, HEAD)
    elif face.style == "bun":
        canvas.dot(0, -74, 20, 17, dark, HEAD)
    elif face.style == "curly":
        size = 15 if face.soft else 10
        half = [(28, -58), (45, -36), (48, -8)] + ([(49, 18), (42, 46)] if face.soft else [])
        for x, y in _curve(_mirror(half, [(0, -64)]))[::3]:
            canvas.dot(x, y, size, size, _mix(face.hair, dark, 0.5), HEAD)


def _draw_body(canvas: _Layer, face: _Face, rng: np.random.Generator) -> None:
    wide = 21 if face.soft else 26
    shoulders = [(wide - 4, 66), (wide + 8, 78), (60, 90), (84, 112), (90, 160)]
    neck = [(wide * 0.7, 90), (wide, 74), (wide - 2, 62), (wide - 1, 30)]
    canvas.fill(_curve(_mirror(shoulders)), _pick(rng, CLOTHES))
    canvas.fill(_curve(_mirror(neck, [(0, 98)])), _mix(face.skin, face.shade, 0.75))


def _draw_head(canvas: _Layer, face: _Face, head: np.ndarray, hair: np.ndarray | None) -> None:
    skin, shade, glow, light = face.skin, face.shade, face.glow, face.light
    blush = _mix(skin, (228, 84, 80), 0.04 + 0.3 * sum(skin) / 765)
    for side in (-1, 1):
        canvas.dot(side * 42, 6, 7, 12, _mix(skin, shade, 0.35), HEAD - 2)
        canvas.dot(side * 43, 6, 3.5, 7, _mix(skin, shade, 0.8), HEAD - 2)
    soft = _Layer(face, SOFT, _mix(skin, shade, 0.75))
    soft.fill(head * (0.9, 0.93) + (4 * light, -1), skin, HEAD)
    soft.dot(light * 10, -28, 20, 12, glow, HEAD / 2)
    for side in (-1, 1):
        soft.dot(side * EYE_GAP, -4, 13, 9, _mix(skin, shade, 0.4))
        soft.dot(side * 25, 24, 10, 7, blush)
        soft.dot(side * 25, 15, 8, 4, glow if side == light else skin)
    soft.dot(-7 * light, 18, 5, 11, _mix(skin, shade, 0.75), NOSE)
    soft.dot(light, 8, 3.5, 16, glow, NOSE / 2)
    soft.dot(0, 53, 9, 3, _mix(skin, shade, 0.6), MOUTH)  # below the lips
    if hair is not None:
        soft.fill(hair + (0, 5), _mix(skin, shade, 0.8), HEAD)  # the shadow it casts
    canvas.paste(soft, head, HEAD)


def _draw_beard(canvas: _Layer, face: _Face, head: np.ndarray, rng: np.random.Generator) -> None:
    kind = _pick(rng, ["none", "full", "goatee", "mustache"], [0.55, 0.24, 0.11, 0.1])
    if face.soft or kind == "none":
        return
    color = _mix(face.hair, face.shade, 0.3)
    if kind == "full":
        edge = _curve(_mirror([(9, 30), (20, 37), (27, 33), (34, 20), (39, 2)]))
        jaw = head[head[:, 1] > 2]
        jaw = jaw[np.argsort(-jaw[:, 0])] * (1.02, 1.04)  # from right to left, round the chin
        canvas.fill(np.concatenate([edge, jaw]), color, HEAD / 2)
    else:
        half = [(10, 30), (20, 36), (20, 50), (12, 61)]
        if kind == "mustache":
            half = [(4, 28), (15, 31), (23, 38), (12, 37), (3, 35)]
        canvas.fill(_curve(_mirror(half), closed=True), color, MOUTH)


def _draw_nose(canvas: _Layer, face: _Face, rng: np.random.Generator) -> None:
    wide, y = rng.uniform(7.5, 10.5), rng.uniform(21, 24)
    half = [(wide - 2, y + 1.5), (wide, y - 3)]
    canvas.stroke(_curve(_mirror(half, [(0, y + 4)])), 2.4, 2.4, face.shade, NOSE)
    for side in (-1, 1):
        nostril = _mix(face.shade, (60, 20, 20), 0.3)
        canvas.dot(side * wide * 0.45, y + 1.5, 2.7, 1.7, nostril, NOSE)
    canvas.dot(face.light * 1.5, y - 5, 3, 3, face.glow, NOSE)


def _draw_mouth(canvas: _Layer, face: _Face, rng: np.random.Generator) -> None:
    kind = _pick(rng, ["closed", "smile", "open"], [0.25, 0.35, 0.4])
    wide = rng.uniform(13, 15) if kind == "closed" else rng.uniform(15, 18.5)
    bend = rng.uniform(2, 3) if kind == "closed" else rng.uniform(4, 6)
    gape = rng.uniform(6, 9) if kind == "open" else 0
    full = rng.uniform(4.2, 5.5) if face.soft else rng.uniform(3, 4)
    rouge = rng.uniform(0.4, 0.8) if face.soft else 0.25
    lips = _mix(_mix(face.skin, face.shade, 0.5), (196, 44, 62), rouge)

    t = np.linspace(-1, 1, 21)
    arch = 1 - t**2
    seam = 42 - gape * 0.35 + bend * (arch - 0.6)  # where the upper lip ends
    floor = seam + gape * arch**0.8  # where the lower lip starts
    upper = seam - full * 0.85 * arch**0.7 * (1 - 0.35 * np.exp(-((t * 5) ** 2)))
    lower = floor + full * arch**0.7

    def fill_between(top: np.ndarray, bottom: np.ndarray, color: Color) -> None:
        outline = [np.stack([t, top], axis=1), np.stack([t, bottom], axis=1)[::-1]]
        canvas.fill(np.concatenate(outline) * (wide, 1), color, MOUTH)

    fill_between(floor, lower, _mix(lips, (255, 200, 190), 0.15))
    fill_between(upper, seam, _mix(lips, (60, 12, 20), 0.15))
    if kind == "open":
        fill_between(seam, floor, (92, 24, 32))
        fill_between(seam, seam + (floor - seam) * 0.7, (250, 247, 240))  # the teeth
    else:
        line = np.stack([t * wide, seam], axis=1)
        canvas.stroke(line, 2, 2, _mix(lips, (60, 12, 20), 0.6), MOUTH)


def _draw_eyes(canvas: _Layer, face: _Face, rng: np.random.Generator) -> None:
    iris = IRISES[0] if sum(face.skin) < 450 else _pick(rng, IRISES)
    wide, lift, drop = rng.uniform(11, 12.5), rng.uniform(5.5, 7.5), rng.uniform(3.6, 4.6)
    gaze, slant = rng.triangular(-2, face.yaw, 2), rng.uniform(-0.5, 1.5)
    raised, arch = rng.uniform(0, 3), rng.uniform(1.5, 4)
    thick = rng.uniform(3.4, 4.4) if face.soft else rng.uniform(4.4, 5.6)
    lash = 2.8 if face.soft else 2.2
    t = np.linspace(-1, 1, 15)  # from the nose to the temple
    for side in (-1, 1):
        center = (side * EYE_GAP, 0)
        x = side * wide * (1 - 0.1 * side * face.yaw) * t  # the far eye is narrower
        upper = np.stack([x, -lift * (1 - t**2) ** 0.75 - slant * t], axis=1)
        lower = np.stack([x, drop * (1 - t**2) ** 0.85 - slant * t], axis=1)
        canvas.fill(np.concatenate([upper, lower[::-1]]) + center, (250, 248, 244))
        rim = _mix(iris, (16, 12, 16), 0.5)
        for radius, color in ((5.7, rim), (4.7, iris), (2.6, (18, 14, 18))):
            disc = _CIRCLE * radius + (gaze, -0.8)
            lids = [np.interp(disc[:, 0] * side, x * side, lid[:, 1]) for lid in (upper, lower)]
            disc[:, 1] = np.clip(disc[:, 1], *lids)  # the lids cover it
            canvas.fill(disc + center, color)
        canvas.dot(center[0] + gaze + 1.6 * face.light, -2.4, 1.6, 1.6, (255, 255, 255))
        canvas.stroke(upper + center, lash * 0.7, lash * 1.3, _mix(face.brows, (24, 16, 18), 0.75))
        brow = [(-11, -11.5), (-3, -12.5 - arch), (5, -12.5 - arch), (13, -9.5)]
        path = _curve([(side * x, y - lift * 0.4 - raised) for x, y in brow])
        canvas.stroke(path + center, thick, thick * 0.5, face.brows)


def _draw_glasses(canvas: _Layer, rng: np.random.Generator) -> None:
    if rng.random() > 0.18:
        return
    frame, power = _pick(rng, FRAMES), _pick(rng, [0.5, 0.75, 1.0])  # from boxy to round
    ring = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** power * (15, 12.5)
    ring = np.concatenate([ring, ring[:1]])
    for side in (-1, 1):
        canvas.stroke(ring + (side * EYE_GAP, 1), 2.6, 2.6, frame, 1)
        canvas.stroke(np.array([(side * 34, -3), (side * 41, -4)]), 2.6, 2.6, frame, HEAD / 2)
    canvas.stroke(_curve([(-5, -1), (0, -3), (5, -1)]), 2.6, 2.6, frame, 1)


def _draw_hair_front(canvas: _Layer, face: _Face, hair: np.ndarray) -> None:
    soft = _Layer(face, SOFT, _mix(face.hair, (12, 8, 12), 0.3))
    soft.fill(hair * (0.93, 0.97) + (3 * face.light, 1), face.hair, HEAD)
    sheen = _curve(_mirror([(20, -52), (34, -36)], [(0, -57)])) + (8 * face.light, 0)
    soft.stroke(sheen, 5, 5, _mix(face.hair, (255, 236, 214), 0.3), HEAD)
    canvas.paste(soft, hair, HEAD)


def draw_face(index: int) -> Image.Image:
    """Draw face number `index` (0, 1, ...) of an endless set.

    Returns an RGB image, uint8, 178 wide and 218 high, aligned as CelebA's are: eyes near
    (69, 111) and (108, 111), mouth near (89, 152).
    """
    rng = np.random.default_rng([0, index])
    face = _Face(rng)
    head, hair = _head_outline(face, rng), _hair_outline(face)
    canvas = _Layer(face, SHARP, (0, 0, 0))
    _draw_background(canvas, rng)
    _draw_hair_back(canvas, face)
    _draw_body(canvas, face, rng)
    _draw_head(canvas, face, head, hair)
    _draw_beard(canvas, face, head, rng)
    _draw_nose(canvas, face, rng)
    _draw_mouth(canvas, face, rng)
    _draw_eyes(canvas, face, rng)
    _draw_glasses(canvas, rng)
    if hair is not None:
        _draw_hair_front(canvas, face, hair)
    return canvas.image.reduce(SHARP)
