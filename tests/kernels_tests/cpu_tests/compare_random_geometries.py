"""Compares convolutions of random geometry with Chainer's own; see test_random_geometries."""
import sys  # noqa: I001  (this package comes before Chainer)

import yolo_dist  # noqa: F401
import chainer
import numpy as np

from yolo_dist.kernels.cpu import convolution_2d, using_cpu_backend
from yolo_dist.kernels.cpu.conv_algorithms import get_geometry
from yolo_dist.kernels.cpu.fixed_block import FixedBlock


def draw_geometry(rng):
    """Kernel 1 to 7, stride 1 to 4, padding 0 to 8, images from 1 px that the kernel fits in."""
    while True:
        batch, n_in, n_out = (int(rng.choice(choice)) for choice in (
            [1, 2, 3], [1, 3, 7, 8, 9, 20], [1, 5, 8, 17]))
        if rng.integers(2):
            kernel, stride, pad = (tuple(rng.integers(*span, 2)) for span in (
                (1, 8), (1, 5), (0, 9)))
        else:
            kernel, stride, pad = ((int(rng.integers(*span)),) * 2 for span in (
                (1, 8), (1, 5), (0, 9)))
        size = rng.integers(1, 24 if rng.integers(2) else 5, 2)
        if all(n + 2 * p >= k for n, p, k in zip(size, pad, kernel)):
            return ((batch, n_in, *map(int, size)), (n_out, n_in, *map(int, kernel)),
                    tuple(map(int, stride)), tuple(map(int, pad)))


def compute(x, w, gy, stride, pad, *, is_on):
    x, w = chainer.Variable(x), chainer.Variable(w)
    with using_cpu_backend(is_on):
        y = convolution_2d(x, w, stride=stride, pad=pad)
        y.grad = gy[:, :, :y.shape[2], :y.shape[3]]
        y.backward()
    return y.array, x.grad, w.grad


def infer(x, w, y, stride, pad):
    """The convolution as a block of fixed weights, whose normalisation does nothing."""
    one, zero = np.ones(len(w)), np.zeros(len(w))
    block = FixedBlock(w, one, zero, zero, one, geometry=get_geometry(w.shape, stride, pad),
                       eps=0, slope=1)
    return block(x, y) / 2


def main(seed, n_geometries):
    rng = np.random.default_rng(seed)
    for _ in range(n_geometries):
        x_shape, w_shape, stride, pad = geometry = draw_geometry(rng)
        side = [n + 2 * p for n, p in zip(x_shape[2:], pad)]
        x, w, gy = (rng.normal(size=shape) for shape in (
            x_shape, w_shape, (x_shape[0], w_shape[0], *side)))
        actual, expected = (compute(x, w, gy, stride, pad, is_on=is_on)
                            for is_on in (True, False))
        actual += infer(x, w, expected[0], stride, pad),
        expected += expected[0],
        for name, ours, chainers in zip(('y', 'gx', 'gw', 'fixed y'), actual, expected,
                                        strict=True):
            np.testing.assert_allclose(ours, chainers, rtol=1e-10, atol=1e-10,
                                       err_msg=f'{name} of {geometry}')
    print(n_geometries, 'geometries agree')


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
