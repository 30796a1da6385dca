import io
import struct
import tracemalloc

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from yolo_dist.datasets import EncodedImage
from yolo_dist.datasets.image_headers import parse_jpeg_header
from yolo_dist.errors import InputError


@pytest.fixture
def picture():
    """Colourful and smooth; neither side is a multiple of 8."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 11, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(noise, (131, 85), interpolation=cv2.INTER_CUBIC))


def content(picture, kind='JPEG', **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def by_opencv(data, flags=cv2.IMREAD_COLOR):
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    return bgr[..., ::-1]


def turned(picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return content(picture, exif=exif)


JPEGS = {
    '4:4:4': ('RGB', {'subsampling': 0}), '4:2:2': ('RGB', {'subsampling': 1}),
    '4:2:0': ('RGB', {'subsampling': 2}), 'progressive': ('RGB', {'progressive': True}),
    'grey': ('L', {}), 'cmyk': ('CMYK', {}), 'rgb': ('RGB', {'keep_rgb': True})}


@pytest.mark.parametrize('mode, options', JPEGS.values(), ids=JPEGS)
def test_pixels_are_those_of_opencv(picture, mode, options):
    """simplejpeg and OpenCV give the same bytes, so it does not matter which one decodes."""
    data = content(picture.convert(mode), quality=90, **options)
    image = EncodedImage(data, 'a')
    expected = by_opencv(data)
    np.testing.assert_array_equal(image.decode().transpose(1, 2, 0), expected)
    pixels, divisor = EncodedImage(data, 'a').decode_rgbx()
    assert divisor == 1 and pixels.dtype == np.uint8 and pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels[..., :3], expected)


@pytest.mark.parametrize('orientation', [1, 3, 6])
@pytest.mark.parametrize('mode, kind', [
    ('RGB', 'JPEG'), ('L', 'JPEG'), ('CMYK', 'JPEG'), ('RGB', 'PNG'), ('P', 'PNG'),
    ('RGB', 'WEBP'), ('RGB', 'BMP')])
def test_shape_is_known_before_the_pixels(picture, mode, kind, orientation):
    """What geometry is drawn for is what comes, turned pictures and odd formats included."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = content(picture.convert(mode), kind, **({} if kind == 'BMP' else {'exif': exif}))
    for apply_orientation in (True, False):
        image = EncodedImage(data, 'a', apply_orientation=apply_orientation)
        shape = image.shape
        assert shape == (3, *image.decode_rgbx()[0].shape[:2]) == image.decode().shape
        is_turned = apply_orientation and orientation == 6 and kind != 'BMP'
        assert shape == ((3, 131, 85) if is_turned else (3, 85, 131))


@pytest.mark.parametrize('divisor, flags', [
    (2, cv2.IMREAD_REDUCED_COLOR_2), (4, cv2.IMREAD_REDUCED_COLOR_4),
    (8, cv2.IMREAD_REDUCED_COLOR_8)])
def test_reduced_sizes(picture, divisor, flags):
    """A JPEG comes at the size asked for, rounded up; its pixels are means of the whole one's."""
    data = content(picture, quality=95, subsampling=0)
    image = EncodedImage(data, 'a')
    pixels, divided_by = image.decode_rgbx(divisor)
    assert divided_by == divisor and image.shape == (3, 85, 131)
    np.testing.assert_array_equal(pixels[..., :3], by_opencv(data, flags))
    means = cv2.blur(by_opencv(data).astype(np.float32), (divisor, divisor),
                     anchor=(0, 0))[::divisor, ::divisor]
    inside = slice(0, 85 // divisor), slice(0, 131 // divisor)
    # Negative control: the means of the neighbouring pixels are further away.
    error = np.abs(pixels[..., :3] - means)[inside]
    assert error.mean() < 1.5
    assert np.abs(pixels[:, 1:, :3] - means[:, :-1])[inside].mean() > 4 * error.mean()


@pytest.mark.parametrize('mode, options', [
    *JPEGS.values(), ('RGB', {'restart_marker_rows': 1}), ('RGB', {'exif': b'turned'})],
    ids=[*JPEGS, 'restarts', 'turned'])
@pytest.mark.parametrize('divisor', [1, 2, 8])
def test_rows_that_are_not_needed_are_left_out(picture, mode, options, divisor):
    """Those that come are the same to the bit as those of the whole image, and are enough."""
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {**options, **({'exif': exif} if 'exif' in options else {})}
    data = content(picture.resize((131, 203)).convert(mode), quality=90, **options)
    whole, divided_by = EncodedImage(data, 'a').decode_rgbx(divisor)
    can_be_cut = mode != 'CMYK' and 'progressive' not in options and 'exif' not in options
    for n_rows in (1, 31, 32, 100, 160, 170, 203, 500):
        pixels, same = EncodedImage(data, 'a').decode_rgbx(divisor, n_rows)
        assert same == divided_by and len(pixels) * same >= min(n_rows, len(whole) * same)
        rows = min(len(pixels), -(-n_rows // same))
        np.testing.assert_array_equal(pixels[:rows, :, :3], whole[:rows, :, :3])
        assert (len(pixels) < len(whole)) == (can_be_cut and n_rows < 191)
    image = EncodedImage(data, 'a')
    image.decode_rgbx(divisor, 1)
    assert image.shape == image.decode().shape == EncodedImage(data, 'a').decode().shape


def test_scan_for_each_component_is_not_cut(picture):
    """Where the scans say so, all rows are decoded; so is a file that ends at its scan."""
    data = content(picture.resize((40, 203)))
    scan = data.index(b'\xff\xda')
    odd = data[:scan + 4] + b'\1' + data[scan + 5:]
    assert parse_jpeg_header(data).height_at is not None
    assert parse_jpeg_header(odd).height_at is None
    assert not parse_jpeg_header(data[:scan + 4]).is_whole


def test_what_cannot_be_reduced_comes_whole(picture):
    """Other formats, turned and tiny pictures say that they were not reduced."""
    tiny = content(picture.resize((12, 300)))
    for data in (content(picture, 'PNG'), content(picture.convert('CMYK')), turned(picture, 3),
                 tiny):
        image = EncodedImage(data, 'a')
        pixels, divisor = image.decode_rgbx(4)
        assert divisor == 1 and pixels.shape[:2] == image.shape[1:]
        np.testing.assert_array_equal(pixels[..., :3].transpose(2, 0, 1), image.decode())


def test_harmless_fault_is_read_by_opencv(picture):
    """Bytes that should not be there, which simplejpeg refuses, are no damage."""
    data = content(picture, quality=90)
    odd = data[:-2] + bytes(range(1, 65)) + data[-2:]
    with pytest.raises(ValueError, match='extraneous'):
        simplejpeg.decode_jpeg(odd)
    for divisor in (1, 2):
        pixels, divided_by = EncodedImage(odd, 'a').decode_rgbx(divisor)
        assert divided_by == 1
        np.testing.assert_array_equal(pixels[..., :3], by_opencv(data))


def test_broken_orientation_is_none(picture):
    """EXIF that is cut, no TIFF, or says 0 or 9 leaves the picture as it is."""
    plain = by_opencv(content(picture))
    whole = turned(picture, 6)
    at = whole.index(b'Exif\0\0')
    entry = whole.index((0x0112).to_bytes(2, 'big'), at)
    spoilt = {
        'no byte order': whole[:at + 6] + b'XX' + whole[at + 8:],
        'far away': whole[:at + 10] + b'\xff\xff\xff\xff' + whole[at + 14:],
        'nine': whole[:entry + 8] + b'\0\x09' + whole[entry + 10:]}
    for data in spoilt.values():
        assert data != whole
        np.testing.assert_array_equal(
            EncodedImage(data, 'a').decode().transpose(1, 2, 0), plain)
    assert EncodedImage(whole, 'a').shape == (3, 131, 85)


def test_cut_file_is_refused_before_it_is_decoded(picture):
    """A damaged file is named when it is read; nothing has to be decoded for that."""
    data = content(picture)
    for cut in (b'', data[:100], data[:-2], b'text'):
        with pytest.raises(InputError, match='x.jpg'):
            EncodedImage(cut, 'x.jpg')


@pytest.mark.parametrize('width', [640, 642, 644, 131])
def test_pixels_lie_where_they_are_cached(width):
    """Of hardly any row the address is one that libjpeg-turbo writes past the caches."""
    data = content(Image.new('RGB', (width, 64)))
    for divisor in (1, 2):
        pixels, divided_by = EncodedImage(data, 'a').decode_rgbx(divisor)
        assert divided_by == divisor
        rows = pixels.ctypes.data + pixels.strides[0] * np.arange(len(pixels))
        assert (rows % 32 == 0).mean() <= 1 / 8
        # OpenCV takes a pixel as one word.
        assert (rows % 4 == 0).all()


def claim(data, at, side):
    """Bytes of an image whose header claims another height and width, two or four bytes each."""
    size = side.to_bytes(2 if data[:1] == b'\xff' else 4, 'big')
    return data[:at] + size + size + data[at + 2 * len(size):]


@pytest.mark.parametrize('ending', ['.jpg', '.png'])
def test_a_small_file_that_claims_gigabytes_is_refused(ending):
    """The limit acts on the header, before memory is reserved; just below it nothing changes."""
    data = cv2.imencode(ending, np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    at = data.index(b'\xff\xc0') + 5 if ending == '.jpg' else data.index(b'IHDR') + 4
    tracemalloc.start()
    try:
        for side in (16_385, 30_000, 65_500):
            with pytest.raises(InputError, match=f'bomb.*claims {side:,} x {side:,} pixels'):
                EncodedImage(claim(data, at, side), 'bomb').decode()
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert EncodedImage(data, 'small').decode().shape == (3, 8, 8)


SMALL = {
    'BMP': lambda side: b'BM' + struct.pack('<IHHI', 0, 0, 0, 1078) + struct.pack(
        '<IiiHHIIiiII', 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024) + b'\0\1',
    'GIF': lambda side: b'GIF89a' + struct.pack('<HHBBB', side, side, 128, 0, 0) + bytes(6)
        + b',' + struct.pack('<HHHHB', 0, 0, side, side, 0) + b'\x02\x02\x4c\x01\0;',
    'PPM': lambda side: b'P6 %d %d 255\n' % (side, side),
    'TIFF': lambda side: b'II*\0' + struct.pack('<IH', 8, 8) + b''.join(
        struct.pack('<HHII', tag, 4, 1, value) for tag, value in (
            (256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 110), (277, 1),
            (279, 9))) + bytes(20),
}


@pytest.mark.parametrize('kind', SMALL)
def test_a_claim_of_gigabytes_is_refused_in_each_format(kind, monkeypatch):
    """Before OpenCV sees it, which would reserve 2.7 GB; a small claim reaches OpenCV."""
    asked = []
    monkeypatch.setattr(cv2, 'imdecode', lambda data, flags: asked.append(len(data)))
    for side in (16_385, 30_000):
        with pytest.raises(InputError, match=f'bomb.*claims {side:,} x {side:,} pixels'):
            EncodedImage(SMALL[kind](side), 'bomb')
    assert not asked
    with pytest.raises(InputError, match='not a complete image'):
        EncodedImage(SMALL[kind](8), 'small')
    assert asked


def test_a_second_frame_does_not_hide_the_first():
    """The larger claim of two counts, whichever comes first."""
    data = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    at = data.index(b'\xff\xc0')
    frame = data[at:at + 2 + int.from_bytes(data[at + 2:at + 4], 'big')]
    large = claim(frame, 5, 30_000)
    for frames in (large + frame, frame + large):
        with pytest.raises(InputError, match='claims 30,000 x 30,000'):
            EncodedImage(data[:at] + frames + data[at + len(frame):], 'bomb')
