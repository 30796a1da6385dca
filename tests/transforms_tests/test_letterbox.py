import numpy as np
import pytest

from yolo_dist.transforms import letterbox, unletterbox_bbox


@pytest.mark.parametrize('insize', [320, 416, 608, (224, 416), (416, 224)])
def test_rectangle_lies_where_its_box_is_mapped(marked, insize):
    """The pixels of an object coincide with its mapped box within 1 px."""
    canvas, placement = letterbox(marked.img, insize)
    found = marked.find(canvas)
    assert np.abs(found - placement.map_bbox(marked.bbox)).max() <= 1
    # Negative controls: a box shifted by 3 px, and the box as it was.
    assert np.abs(found - placement.map_bbox(marked.bbox) - 3).max() > 1
    assert np.abs(found - marked.bbox).max() > 1


@pytest.mark.parametrize('insize', [320, 608, (224, 416)])
def test_boxes_go_there_and_back(marked, insize):
    """Unmapping is the inverse of mapping."""
    _, placement = letterbox(marked.img, insize)
    there = placement.map_bbox(marked.bbox)
    back = unletterbox_bbox(there, placement)
    np.testing.assert_allclose(back, marked.bbox, atol=1e-3)
    assert there.dtype == back.dtype == np.float32


def test_empty_boxes_keep_shape_and_type():
    """No boxes stay no boxes."""
    _, placement = letterbox(np.zeros((3, 20, 30), np.uint8), 64)
    for bbox in (placement.map_bbox(np.zeros((0, 4), np.float32)),
                 unletterbox_bbox(np.zeros((0, 4), np.float32), placement)):
        assert bbox.shape == (0, 4) and bbox.dtype == np.float32


@pytest.mark.parametrize('size_hw, insize, target', [
    # Darknet's integer arithmetic by hand: 375 * 608 / 500 = 456, (608 - 456) / 2 = 76.
    ((375, 500), 608, (76, 0, 532, 608)),
    ((500, 375), 608, (0, 76, 608, 532)),
    # Enlarged: ChainerCV's resize_contain would leave 30 x 60.
    ((30, 60), 416, (104, 0, 312, 416)),
    ((333, 500), 416, (69, 0, 346, 416)),
    ((100, 100), (224, 416), (0, 96, 224, 320)),
    ((3000, 2), 320, (0, 159, 320, 160))])
def test_place_is_that_of_darknet(size_hw, insize, target):
    """The image is as large as fits, scaled both ways, and centred."""
    canvas, placement = letterbox(np.zeros((3, *size_hw), np.uint8), insize)
    assert placement.target == target
    top, left, bottom, right = target
    grey = np.ones(canvas.shape[1:], bool)
    grey[top:bottom, left:right] = False
    assert (canvas[:, grey] == 128).all() and (canvas[:, ~grey] == 0).all()


def test_range_follows_the_type():
    """uint8 images lie on grey of 128, float images in [0, 1] on grey of 0.5."""
    for dtype, top, grey in ((np.uint8, 255, 128), (np.float32, 1, 0.5)):
        canvas, _ = letterbox(np.full((3, 10, 20), top, dtype), 32)
        assert canvas.dtype == dtype and canvas.flags.c_contiguous
        assert sorted(set(canvas.ravel().tolist())) == [grey, top]


def test_image_of_the_right_size_is_unchanged():
    """Nothing is lost where nothing is to be done; planes and interleaved memory are the same."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    img = pixels.transpose(2, 0, 1)
    for given in (img, np.ascontiguousarray(img)):
        canvas, placement = letterbox(given, 64)
        np.testing.assert_array_equal(canvas, img)
        assert placement.canvas_hw == (64, 64)
