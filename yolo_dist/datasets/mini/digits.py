"""Bright handwritten digits on darkened crops of photographs."""
import cv2
import numpy as np

# Where the ink is this dense a pixel counts as drawn: the edge of the box.
_INK_THRESHOLD = 0.55
_GLYPH_PX = 96
_GLYPH_MARGIN_PX = 24


def draw_background(photographs, size_hw, rng):
    """Cut a piece out of a photograph, mirror it perhaps, halve its contrast and darken it.

    Digits stand out enough for a quarter-width network to learn them within minutes.

    Args:
        photographs (sequence of ndarray): uint8 ``(3, H, W)``.
        size_hw (tuple of int): Height and width of the piece in pixels.
        rng (numpy.random.Generator): Source of all randomness.

    Returns:
        ndarray: float32 ``(H, W, 3)`` in [0, 255], RGB, of mean at most 70.
    """
    photograph = photographs[rng.integers(len(photographs))]
    height, width = size_hw
    zoom = min(rng.uniform(1, 3),
               photograph.shape[1] / height, photograph.shape[2] / width)
    crop_h, crop_w = round(height * zoom), round(width * zoom)
    top = rng.integers(photograph.shape[1] - crop_h + 1)
    left = rng.integers(photograph.shape[2] - crop_w + 1)
    crop = photograph[:, top:top + crop_h, left:left + crop_w].transpose(1, 2, 0)
    crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    crop = 0.5 * crop + 0.5 * crop.mean(axis=(0, 1))
    target_mean = rng.uniform(35, 70)
    return crop * min(1.0, target_mean / max(float(crop.mean()), 1.0))


def draw_glyph(digit, height_px, rng):
    """Enlarge an 8 x 8 digit with a little rotation and slant, and cut it out tightly.

    Args:
        digit (ndarray): float32 ``(8, 8)`` in [0, 1].
        height_px (int): Height of the drawn pixels.
        rng (numpy.random.Generator): Source of all randomness.

    Returns:
        ndarray: Ink, float32 ``(height_px, W)`` in [0, 1]; the drawn pixels, those above 0.55,
        reach all four sides.
    """
    size = _GLYPH_PX + 2 * _GLYPH_MARGIN_PX
    enlarged = cv2.resize(digit, (_GLYPH_PX, _GLYPH_PX), interpolation=cv2.INTER_CUBIC)
    enlarged = cv2.copyMakeBorder(enlarged, *[_GLYPH_MARGIN_PX] * 4, cv2.BORDER_CONSTANT)
    warp = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-8, 8), 1.0)
    warp[0] += rng.uniform(-0.15, 0.15) * np.array([warp[1, 0], warp[1, 1], 0])
    warp[0, 2] += size / 2 - warp[0] @ (size / 2, size / 2, 1)
    warped = cv2.warpAffine(enlarged, warp, (size, size), flags=cv2.INTER_LINEAR)

    tight = _cut_to_ink(warped)
    stretch = rng.uniform(0.9, 1.2)
    width_px = max(4, round(tight.shape[1] * height_px / tight.shape[0] * stretch))
    return cv2.resize(tight, (width_px, height_px), interpolation=cv2.INTER_LINEAR)


def paste_glyph(scene, glyph, top, left, *, opacity, rng):
    """Draw the glyph into the scene in a light colour, with a dark shadow around the strokes.

    Args:
        scene (ndarray): float32 ``(H, W, 3)`` in [0, 255]; changed in place.
        glyph (ndarray): Ink, from :func:`draw_glyph`; must fit into the scene.
        top (int): First row of the drawn pixels.
        left (int): First column of the drawn pixels.
        opacity (float): 1 for a plain digit, less for one that is hard to see.
        rng (numpy.random.Generator): Source of the colour.

    Returns:
        tuple of int: Box of the drawn pixels ``(y_min, x_min, y_max, x_max)``; the maxima are
        one past the last drawn pixel.
    """
    colour = _light_colour(rng)
    sharp = np.clip((glyph - _INK_THRESHOLD) * 2.5 + 0.5, 0, 1)
    height, width = sharp.shape
    inside = (slice(top, top + height), slice(left, left + width))

    layer = np.zeros(scene.shape[:2], np.float32)
    layer[inside] = sharp
    shadow = np.clip(cv2.GaussianBlur(layer, (0, 0), 2.5) * 1.5, 0, 1)[..., None]
    scene *= 1 - 0.75 * opacity * shadow
    scene += opacity * layer[..., None] * (colour - scene)
    return top, left, top + height, left + width


def encode_jpeg(scene):
    """JPEG file content of a scene.

    Args:
        scene (ndarray): float32 ``(H, W, 3)`` in [0, 255], RGB.

    Returns:
        bytes: The file.
    """
    pixels = np.clip(np.rint(scene), 0, 255).astype(np.uint8)[..., ::-1]
    return cv2.imencode('.jpg', pixels, (cv2.IMWRITE_JPEG_QUALITY, 92))[1].tobytes()


def _cut_to_ink(ink):
    rows = np.flatnonzero((ink > _INK_THRESHOLD).any(axis=1))
    columns = np.flatnonzero((ink > _INK_THRESHOLD).any(axis=0))
    return ink[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def _light_colour(rng):
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(0, 0.55), rng.uniform(0.9, 1)]]],
                   np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255
