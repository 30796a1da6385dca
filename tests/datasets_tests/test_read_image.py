import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from yolo_dist.datasets import decode_image, read_image
from yolo_dist.errors import InputError

ORIENTATION = 0x0112


@pytest.fixture
def picture():
    """A smooth picture, higher than wide, that no turn or mirror maps to itself."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(noise, (50, 60), interpolation=cv2.INTER_CUBIC))


def content(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def as_image(picture):
    return np.asarray(picture.convert('RGB')).transpose(2, 0, 1)


def test_png_is_read_exactly_as_rgb_planes(picture, tmp_path):
    """Pixels are uint8 RGB planes, on interleaved memory that transforms get without a copy."""
    picture.save(tmp_path / 'a.png')
    img = read_image(tmp_path / 'a.png')
    assert img.dtype == np.uint8
    np.testing.assert_array_equal(img, as_image(picture))
    assert img.transpose(1, 2, 0).flags.c_contiguous


@pytest.mark.parametrize('mode, kind', [
    ('L', 'JPEG'), ('CMYK', 'JPEG'), ('RGB', 'JPEG'), ('L', 'PNG'), ('P', 'PNG'), ('1', 'PNG'),
    ('LA', 'PNG'), ('RGBA', 'PNG'), ('RGB', 'BMP'), ('RGB', 'WEBP'), ('P', 'GIF')])
def test_every_pixel_type_becomes_rgb(mode, kind, picture, tmp_path, capfd):
    """Grey, CMYK, palette and alpha pictures agree with another reader; nothing is printed."""
    data = content(picture.convert(mode), kind)
    # The name lies: only the content counts.
    (tmp_path / 'a.jpg').write_bytes(data)
    img = read_image(tmp_path / 'a.jpg')
    expected = as_image(Image.open(io.BytesIO(data)))
    assert img.shape == expected.shape and img.dtype == np.uint8
    # JPEG decoders and CMYK formulas differ by rounding.
    assert np.abs(img.astype(int) - expected).max() <= (3 if kind in ('JPEG', 'WEBP') else 0)
    assert capfd.readouterr().err == ''


def test_sixteen_bits_keep_the_upper_eight():
    """A 16-bit value v becomes v / 256, not v modulo 256."""
    values = np.linspace(0, 65535, 60 * 50).reshape(60, 50).astype(np.uint16)
    img = decode_image(content(Image.fromarray(values), 'PNG'), 'a.png')
    assert np.abs(img - values / 257.0).max() <= 1


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_exif_orientation_is_applied_or_not_as_asked(kind, orientation, picture):
    """All eight orientations agree with another reader; the stored pixels are to be had too."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {'quality': 95} if kind == 'JPEG' else {}
    data = content(picture, kind, exif=exif, **options)
    opened = Image.open(io.BytesIO(data))
    shown = as_image(ImageOps.exif_transpose(opened))
    stored = as_image(opened)
    for expected, apply_orientation in ((shown, True), (stored, False)):
        img = decode_image(data, 'a', apply_orientation=apply_orientation)
        assert img.shape == expected.shape
        assert np.abs(img.astype(int) - expected).max() <= 3


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'GIF'])
@pytest.mark.parametrize('share', [0.02, 0.3, 0.7, 0.95])
def test_cut_file_is_refused_in_silence(kind, share, picture, tmp_path, capfd):
    """A file cut anywhere is an error that names it, not an image with grey rows."""
    data = content(picture.resize((250, 300)), kind)
    path = tmp_path / 'cut.jpg'
    path.write_bytes(data[:int(len(data) * share)])
    with pytest.raises(InputError, match='cut.jpg'):
        read_image(path)
    assert capfd.readouterr().err == ''
    decode_image(data, 'whole')


def test_jpeg_without_its_last_two_bytes_is_truncated(picture):
    """The end marker decides; bytes after it do no harm."""
    data = content(picture, 'JPEG')
    with pytest.raises(InputError, match='truncated'):
        decode_image(data[:-2], 'a.jpg')
    decode_image(data + b'appended by a camera', 'a.jpg')


def test_end_marker_of_a_thumbnail_is_not_the_end(picture):
    """A JPEG inside the header does not hide that the pixels are cut."""
    data = content(picture, 'JPEG')
    thumbnail = b'Exif\0\0' + content(picture.resize((8, 8)), 'JPEG')
    header = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    whole = data[:2] + header + data[2:]
    decode_image(whole, 'a.jpg')
    with pytest.raises(InputError, match='truncated'):
        decode_image(whole[:len(whole) - 200], 'a.jpg')


def test_progressive_jpeg_with_many_scans_is_read(picture):
    """Progressive files, and fill bytes before a marker, are not mistaken for damage."""
    data = content(picture, 'JPEG', progressive=True)
    assert data.count(b'\xff\xda') > 1  # start of a scan
    expected = as_image(Image.open(io.BytesIO(data)))
    for whole in (data, data[:2] + b'\xff' + data[2:]):
        img = decode_image(whole, 'a.jpg')
        assert img.shape == expected.shape
        # Decoders differ by rounding.
        assert np.abs(img.astype(int) - expected).max() <= 3


@pytest.mark.parametrize('data', [b'', b'not an image', b'\xff\xd8', b'\xff\xd8\xff\xd9',
                                  b'\x89PNG\r\n\x1a\n', b'<html>404</html>'])
def test_not_an_image(data, tmp_path, capfd):
    """Empty files, text and bare headers are errors that name the file."""
    (tmp_path / 'odd.jpg').write_bytes(data)
    with pytest.raises(InputError, match='odd.jpg'):
        read_image(tmp_path / 'odd.jpg')
    assert capfd.readouterr().err == ''


def test_missing_file_and_folder(tmp_path):
    """A path that cannot be opened is an error that names it."""
    for path in (tmp_path / 'nowhere.jpg', tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_image(path)


def test_damaged_png_is_refused_in_silence(picture, capfd):
    """One flipped byte among the pixels is found by the checksum, before the decoder prints."""
    data = bytearray(content(picture, 'PNG'))
    data[len(data) // 2] ^= 255
    with pytest.raises(InputError, match='damaged'):
        decode_image(bytes(data), 'a.png')
    assert capfd.readouterr().err == ''


def test_broken_colour_profile_is_no_noise(picture, capfd):
    """A PNG whose colour profile is rubbish is read, exactly and in silence."""
    data = content(picture, 'PNG', icc_profile=b'rubbish' * 30)
    np.testing.assert_array_equal(decode_image(data, 'a.png'), as_image(picture))
    assert capfd.readouterr().err == ''


def test_log_level_of_opencv_is_restored(picture):
    """Reading leaves OpenCV's own settings as they were, after success and failure."""
    before = cv2.utils.logging.getLogLevel()
    decode_image(content(picture, 'PNG'), 'a.png')
    with pytest.raises(InputError):
        decode_image(b'text', 'a.png')
    assert cv2.utils.logging.getLogLevel() == before
