import numpy as np
import pytest

from yolo_dist.transforms import centre_crop


@pytest.mark.parametrize('size_hw', [(40, 60), (60, 40), (41, 60), (50, 50)])
def test_square_of_the_same_size_is_the_centre(size_hw):
    """At the size of the short side the crop is the central square, pixel by pixel."""
    img = np.random.default_rng(0).integers(0, 256, (3, *size_hw), dtype=np.uint8)
    side = min(size_hw)
    top, left = (size_hw[0] - side) // 2, (size_hw[1] - side) // 2
    crop = centre_crop(img, side)
    np.testing.assert_array_equal(crop, img[:, top:top + side, left:left + side])
    assert crop.dtype == np.uint8 and crop.flags.c_contiguous


def test_whole_short_side_is_seen_at_every_size():
    """There is no margin: the outermost rows of a landscape image are in the crop."""
    img = np.zeros((3, 100, 200), np.uint8)
    img[:, :10] = 255
    img[:, :, :45] = 100
    for insize in (50, 100, 256):
        crop = centre_crop(img, insize)
        assert crop.shape == (3, insize, insize)
        assert (crop[:, 0] == 255).all() and (crop[:, -1] == 0).all()
        assert not (crop == 100).any()


@pytest.mark.parametrize('size_hw', [(100, 60), (60, 100), (1, 500), (500, 1), (1, 1)])
def test_any_image_gives_the_size_asked_for(size_hw):
    """Extreme images and non-square sizes work, without change of the aspect."""
    assert centre_crop(np.zeros((3, *size_hw), np.uint8), (64, 96)).shape == (3, 64, 96)
    grid = np.zeros((3, 90, 60), np.uint8)
    np.testing.assert_array_equal(centre_crop(grid + np.arange(60, dtype=np.uint8), (30, 60)),
                                  np.broadcast_to(np.arange(60), (3, 30, 60)))
