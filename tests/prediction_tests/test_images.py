import cv2
import numpy as np
import pytest
from PIL import Image

from yolo_dist.errors import InputError
from yolo_dist.prediction import find_pictures, images, read_batches


def read(paths, batch_size=8):
    skipped = []
    batches = list(read_batches(find_pictures(paths), batch_size,
                                lambda path, reason: skipped.append((path, reason))))
    return batches, skipped


def write_video(path, n_frames):
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 48))
    for i in range(n_frames):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[..., 2] = 12 * i % 240  # red, as OpenCV has it
        video.write(frame)
    video.release()


def test_pictures_of_any_kind(tmp_path):
    """Grey, alpha, CMYK, 16-bit and turned pictures come as viewers show them, uint8 RGB."""
    pixels = np.full((40, 64, 3), (200, 60, 20), np.uint8)
    pixels[:20] = 250
    img = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    img.convert('RGBA').save(tmp_path / 'alpha.png')
    img.convert('CMYK').save(tmp_path / 'cmyk.jpg', quality=95)
    Image.fromarray(pixels[..., 0].astype('u2') * 257).save(tmp_path / 'deep.png')
    img.convert('L').save(tmp_path / 'grey.png')
    img.rotate(90, expand=True).save(tmp_path / 'turned.jpg', quality=95, exif=turned)
    (batch,), skipped = read([tmp_path])
    assert not skipped
    grey = round(0.299 * 200 + 0.587 * 60 + 0.114 * 20)
    below = {'alpha.png': (200, 60, 20), 'cmyk.jpg': (200, 60, 20), 'deep.png': (200,) * 3,
             'grey.png': (grey,) * 3, 'turned.jpg': (200, 60, 20)}
    assert [picture.name for picture in batch] == list(below)
    for picture in batch:
        assert picture.img.dtype == np.uint8 and picture.img.shape == (3, 40, 64), picture.name
        np.testing.assert_allclose(picture.img[:, 30, 32], below[picture.name], atol=6)
        assert (picture.img[:, 10, 32] > 240).all()


def test_a_folder_is_read_with_the_folders_in_it(tmp_path):
    """In order, once each, without what is hidden or no picture; names are unique."""
    for name in ('b.png', 'a/c.PNG', 'a/.hidden.png', '.cache/d.png', 'a/readme.txt'):
        (tmp_path / 'in' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'in' / name).touch()
    (tmp_path / 'b.png').touch()
    (tmp_path / 'b.jpg').touch()
    (tmp_path / 'in/a/e f.png').touch()
    found = find_pictures([tmp_path / 'in', tmp_path / 'in/b.png', tmp_path / 'b.png',
                           tmp_path / 'b.jpg'])
    assert [source.name for source in found] == [
        'b.png', 'a/c.PNG', 'a/e f.png', 'b_2.png', 'b.jpg']
    assert [source.image_id for source in found] == [
        'b.png', 'a/c', 'a/e_f', 'b_2', 'b.jpg']


@pytest.mark.parametrize('name, message', [
    ('absent.jpg', 'no such file or folder'), ('', 'neither pictures nor videos')])
def test_nothing_to_read(name, message, tmp_path):
    """A wrong path is an error before anything is done."""
    with pytest.raises(InputError, match=message):
        find_pictures([tmp_path / name])


def test_what_cannot_be_read_is_named_and_the_rest_read(tmp_path):
    """Empty, cut and other files do not end the reading."""
    img = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8))
    img.save(tmp_path / '1.jpg')
    img.save(tmp_path / '4.png')
    (tmp_path / '2.jpg').write_bytes((tmp_path / '1.jpg').read_bytes()[:900])
    (tmp_path / '3.png').write_text('<html>')
    (tmp_path / '5.avi').write_text('no video')
    batches, skipped = read([tmp_path])
    assert [picture.name for batch in batches for picture in batch] == ['1.jpg', '4.png']
    assert [path for path, _ in skipped] == [f'{tmp_path}/{name}'
                                             for name in ('2.jpg', '3.png', '5.avi')]
    assert all(path in reason for path, reason in skipped)


def test_frames_of_a_video(tmp_path):
    """Each frame comes with its number, in RGB."""
    write_video(tmp_path / 'clip.avi', 4)
    ((*frames,),), skipped = read([tmp_path / 'clip.avi'])
    assert not skipped
    assert [frame.frame for frame in frames] == [0, 1, 2, 3]
    assert [frame.name for frame in frames] == [f'clip.avi/00000{i}' for i in range(4)]
    for i, frame in enumerate(frames):
        assert frame.img.shape == (3, 48, 64)
        np.testing.assert_allclose(frame.img.mean(axis=(1, 2)), (12 * i, 0, 0), atol=5)


def test_a_video_that_is_cut(tmp_path):
    """Its frames are read, and it is named."""
    write_video(tmp_path / 'clip.avi', 200)
    data = (tmp_path / 'clip.avi').read_bytes()
    (tmp_path / 'clip.avi').write_bytes(data[:len(data) // 2])
    batches, skipped = read([tmp_path / 'clip.avi'])
    assert 20 < sum(map(len, batches)) < 180
    assert 'of 200 frames' in skipped[0][1]


def test_huge_pictures_do_not_wait_for_each_other(tmp_path, monkeypatch):
    """A batch ends early where it holds many pixels."""
    monkeypatch.setattr(images, '_MAX_BATCH_PIXELS', 5000)
    for i in range(3):
        Image.new('RGB', (60, 60)).save(tmp_path / f'{i}.png')
    batches, _ = read([tmp_path])
    assert list(map(len, batches)) == [2, 1]
