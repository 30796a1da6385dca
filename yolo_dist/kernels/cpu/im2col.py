"""Gradients of a convolution of any size, stride and padding by patches and matrix products."""
import numpy as np

from yolo_dist.kernels.cpu import im2col_kernels as kernels
from yolo_dist.kernels.cpu.pointwise import multiply
from yolo_dist.kernels.cpu.products import multiply_matrices
from yolo_dist.kernels.cpu.threads import n_threads, parallel_ranges, split
from yolo_dist.kernels.cpu.workspace import scratch, scratch_filters

_CHUNK_BYTES = 1 << 19  # of patches that a thread works on at a time, within its L2 cache
# Of patches that all threads work on at a time: to wake them takes as long as some stretches.
_SHARED_CHUNK_BYTES = 1 << 23
_MIN_CHUNK = 128  # patches; fewer make a poor matrix product


def _chunk_size(n_patch, itemsize, n_bytes):
    return max(_MIN_CHUNK, n_bytes // (n_patch * itemsize))


def _pack(w):
    packed = scratch_filters((w.shape[0], w[0].size), w.dtype)
    parallel_ranges(lambda begin, end: kernels.pack_weights(w, packed, begin, end), len(w),
                    min_length=16)
    return packed


def backward_data(gy, w, gx, stride, pad):
    """Gradient of the input.

    Args:
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        w (ndarray): ``(C', C, kh, kw)``.
        gx (ndarray): ``(B, H, W, C)``, contiguous; is overwritten.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Zeros around ``x`` in the forward pass.
    """
    packed = _pack(w)
    n_patch = packed.shape[1]
    batch, out_height, out_width, n_out = gy.shape
    height, kh = gx.shape[1], w.shape[2]
    size = _chunk_size(n_patch, gy.itemsize, _CHUNK_BYTES)
    # Whole images where some fit; else bands of rows of one image, for which
    # the rows of output that two bands share are computed twice.
    n_images = max(1, size // (out_height * out_width))
    n_images = min(n_images, -(-batch // n_threads()))
    band = max(stride[0], size // out_width * stride[0])
    bands = split(height, -(-height // band))
    jobs = [(images, rows) for images in split(batch, -(-batch // n_images)) for rows in bands]

    def run(begin_job, end_job):
        for (first, stop), (begin, end) in jobs[begin_job:end_job]:
            top = max(0, -(-(begin + pad[0] - kh + 1) // stride[0]))
            bottom = max(top, min(out_height, (end - 1 + pad[0]) // stride[0] + 1))
            part = gy[first:stop, top:bottom]
            col = scratch('col', (*part.shape[:3], n_patch), gy.dtype)
            if part.size:
                n_rows = part.size // n_out
                multiply_matrices(
                    np.ascontiguousarray(part).reshape(1, -1), packed.reshape(1, -1),
                    col.reshape(1, -1), (n_rows, n_out, n_patch), False, False, (0, 1),
                    (0, n_rows))
            kernels.col2im(col, gx, first, begin, end, top, bottom - top, out_width,
                           *w.shape[2:], *stride, *pad)
    parallel_ranges(run, len(jobs))


def backward_weights(x, gy, gw, stride, pad):
    """Gradient of the filters.

    Args:
        x (ndarray): ``(B, H, W, C)``, contiguous.
        gy (ndarray): ``(B, H', W', C')``, contiguous.
        gw (ndarray): ``(C', C, kh, kw)``, contiguous; is overwritten.
        stride (tuple of int): Vertical and horizontal.
        pad (tuple of int): Zeros around ``x`` in the forward pass.
    """
    n_out, n_patch = len(gw), gw[0].size
    rows = gy.reshape(-1, n_out)
    packed = scratch_filters((n_out, n_patch), x.dtype)

    def accumulate(first, stop):
        col = scratch('col', (stop - first, n_patch), x.dtype)

        def gather(begin, end):
            kernels.im2col(x, col, first, begin, end, *gy.shape[1:3], *gw.shape[2:],
                           *stride, *pad)

        parallel_ranges(gather, stop - first, min_length=16)
        multiply(rows[first:stop], col, packed, is_transposed=True, is_sum=first > 0)

    size = _chunk_size(n_patch, x.itemsize, _SHARED_CHUNK_BYTES)
    for chunk in split(len(rows), -(-len(rows) // size)):
        accumulate(*chunk)
    parallel_ranges(lambda begin, end: kernels.unpack_weights(packed, gw, begin, end), n_out,
                    min_length=16)
