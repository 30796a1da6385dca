"""Files that are decoded in reduced size give the examples that whole ones give."""
import cv2
import numpy as np
import pytest

from yolo_dist.datasets import EncodedImage
from yolo_dist.transforms import ClassificationTrainTransform, DetectionTrainTransform

COLOURS = {'hue': 0.1, 'saturation': 1.5, 'exposure': 1.5}
NO_COLOURS = {'hue': 0, 'saturation': 1, 'exposure': 1}


def classification(**changes):
    return ClassificationTrainTransform(**{
        'min_crop_px': 60, 'max_crop_px': 200, 'aspect_ratio': 0.75, 'angle_degrees': 7,
        'flip': True, **NO_COLOURS, **changes})


def detection(kind, **changes):
    return DetectionTrainTransform(**{
        'jitter_kind': kind, 'jitter': 0.3, 'flip': True, **NO_COLOURS, **changes})


class Recorder:
    """Stands for a file; remembers what was asked for and is decoded as told."""

    def __init__(self, data, reduced=True):
        self._image = EncodedImage(data, 'a')
        self._reduced = reduced
        self.shape = self._image.shape
        self.shrinks = []

    def decode_rgbx(self, shrink, n_rows):
        self.shrinks.append(shrink)
        return self._image.decode_rgbx(shrink, n_rows) if self._reduced else (
            self._image.decode_rgbx())


def encode(pixels):
    """RGB pixels as a JPEG of the best quality."""
    return cv2.imencode('.jpg', pixels[..., ::-1], (
        cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444))[1].tobytes()


@pytest.fixture(scope='module')
def smooth():
    """A picture in which a step of 8 pixels shows hardly any change; sides are odd."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return encode(cv2.resize(noise, (1001, 803), interpolation=cv2.INTER_CUBIC))


def examples(transform, data, seed, insize, reduced):
    """The image that comes out, and the divisor that was asked for."""
    image = Recorder(data, reduced)
    rng = np.random.default_rng(seed)
    if isinstance(transform, ClassificationTrainTransform):
        return transform(image, 0, insize=insize, rng=rng)[0], image.shrinks[0]
    box = np.array([[0, 0, 1, 1]], np.float32)
    return transform(image, box, np.zeros(1, int), insize=insize, rng=rng)[0], image.shrinks[0]


@pytest.mark.parametrize('transform, insize', [
    (classification(), 64), (detection('place'), 96), (detection('crop'), 96),
    (detection('crop'), (320, 160))])
def test_reduced_sizes_show_the_same(smooth, transform, insize):
    """The picture lies at the same place; where nothing is fine nothing differs."""
    asked = set()
    for seed in range(12):
        out, shrink = examples(transform, smooth, seed, insize, True)
        expected, _ = examples(transform, smooth, seed, insize, False)
        asked.add(shrink)
        # Where the picture ends and black begins a pixel is a mixture of both.
        shown = np.pad(expected.max(axis=0) > 0, 1).astype(np.uint8)
        inside = cv2.erode(shown, np.ones((5, 5)))[1:-1, 1:-1] > 0
        error = np.abs(out.astype(int) - expected)
        assert error[:, inside].mean() < 0.7 and error[:, inside].max() <= 6
        # Negative control: half a pixel of the result aside is further away.
        beside = np.abs(out[:, :, 1:].astype(int) - expected[:, :, :-1])[:, inside[:, :-1]]
        assert error[:, inside].mean() < 0.35 * beside.mean() / 2
    assert max(asked) >= 2


def test_no_more_is_left_out_than_the_warp_leaves_out():
    """The reduced image still has a pixel for each of the result in every direction."""
    data = encode(np.zeros((803, 1001, 3), np.uint8))
    transform = classification()
    asked = set()
    for seed in range(300):
        _, shrink = examples(transform, data, seed, 64, True)
        warp = transform.draw_warp((803, 1001), (64, 64), np.random.default_rng(seed))
        smallest_step = np.linalg.svd(warp[:, :2], compute_uv=False).min()
        assert shrink <= smallest_step and (shrink == 8 or smallest_step < 2 * shrink)
        asked.add(shrink)
    assert asked >= {2, 4, 8}
    # Enlarged: everything is needed.
    assert examples(transform, data, 0, 64, True)[1] > 1
    enlarging = classification(min_crop_px=900, max_crop_px=1000)
    assert examples(enlarging, data, 0, 64, True)[1] == 1


@pytest.mark.parametrize('kind', ['place', 'crop'])
def test_boxes_lie_on_their_objects(kind):
    """The pixels of an object in a reduced picture coincide with its box within 1 px."""
    pixels = np.zeros((1203, 1605, 3), np.uint8)
    pixels[..., ::2] = 100
    pixels[301:711, 503:1109] = 0, 255, 0
    data, bbox = encode(pixels), np.array([[301, 503, 711, 1109]], np.float32)
    for seed in range(8):
        image = Recorder(data)
        out, mapped, _ = detection(kind)(image, bbox, np.zeros(1, int), insize=160,
                                         rng=np.random.default_rng(seed))
        red, green, _ = out.astype(int)
        found = np.argwhere((green > 127) & (red < 50))
        found = np.concatenate([found.min(axis=0), found.max(axis=0) + 1])
        assert np.abs(found - mapped).max() <= 1
        assert image.shrinks[0] >= 2


@pytest.mark.parametrize('transform, insize', [
    (classification(**COLOURS), 224), (detection('place', **COLOURS), 608),
    (detection('crop', **COLOURS), 608)])
def test_file_and_array_give_the_same_example(transform, insize):
    """Where nothing is shrunk by 2 an example does not depend on when its image was decoded."""
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    data = encode(cv2.GaussianBlur(noise, (0, 0), 1))
    for seed in range(3):
        rest = () if isinstance(transform, ClassificationTrainTransform) else (np.zeros(1, int),)
        first = np.array([[10, 20, 90, 100]], np.float32) if rest else 0
        outs = [transform(img, first, *rest, insize=insize, rng=np.random.default_rng(seed))
                for img in (EncodedImage(data, 'a'), EncodedImage(data, 'a').decode())]
        for a, b in zip(*outs, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('transform, insize, size_wh', [
    (classification(min_crop_px=200, max_crop_px=400), 128, (400, 300)),
    (classification(min_crop_px=130, max_crop_px=300), 96, (800, 700)),
    (detection('crop'), 200, (250, 300)), (detection('crop'), 96, (500, 600))])
def test_rows_below_those_that_show_play_no_part(transform, insize, size_wh):
    """An example is the same to the bit, whether or not the rest of its file was decoded."""
    noise = np.random.default_rng(0).integers(0, 256, (*size_wh[::-1], 3), dtype=np.uint8)
    image = EncodedImage(encode(noise), 'a')
    height = size_wh[1]

    class Spoilt:
        """Of the rows below those asked for nothing is left."""

        shape = image.shape

        def __init__(self, n_spared):
            self.n_spared = n_spared

        def decode_rgbx(self, shrink, n_rows):
            self.n_rows = n_rows
            pixels, divisor = image.decode_rgbx(shrink)
            pixels[max(0, n_rows - self.n_spared) // divisor:] = 0
            return pixels, divisor

    rest = () if isinstance(transform, ClassificationTrainTransform) else (np.zeros(1, int),)
    first = np.array([[1, 1, 9, 9]], np.float32) if rest else 0
    n_cut = n_changed = 0
    for seed in range(12):
        outs = []
        for n_spared in (-2 * height, 0, height // 8):
            spoilt = Spoilt(n_spared)
            outs.append(transform(spoilt, first, *rest, insize=insize,
                                  rng=np.random.default_rng(seed))[0])
        np.testing.assert_array_equal(outs[1], outs[0])
        n_cut += spoilt.n_rows < height
        # Negative control: an eighth of the image less is missed.
        n_changed += (outs[2] != outs[0]).any()
    assert n_cut >= 3 and n_changed == 12
