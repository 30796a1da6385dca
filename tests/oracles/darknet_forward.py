"""Runs a network in Debian's libdarknet: ``darknet_forward.py CFG WEIGHTS INPUT.npy OUT.npy``.

A process of its own, because the library is compiled such that loading it flushes subnormal
numbers of the whole process to zero. OUT is one row: the class probabilities ``(n_class,)`` of a
classifier; or a row for each box of a detector, ``(x, y, w, h, objectness, probabilities...)``,
as shares of the input.
"""
import ctypes
import sys

import numpy as np


class Box(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float) for name in 'xywh']


class Detection(ctypes.Structure):
    _fields_ = [('box', Box), ('n_class', ctypes.c_int),
                ('prob', ctypes.POINTER(ctypes.c_float)),
                ('mask', ctypes.POINTER(ctypes.c_float)), ('objectness', ctypes.c_float),
                ('sort_class', ctypes.c_int)]


def forward(library, cfg, weights, x, n_class, is_detector):
    """Return what the last layer says about one image ``(3, H, W)``."""
    floats, number = ctypes.POINTER(ctypes.c_float), ctypes.c_int
    library.load_network.restype = ctypes.c_void_p
    network = ctypes.c_void_p(library.load_network(cfg.encode(), weights.encode(), 0))
    library.network_predict.restype = floats
    output = library.network_predict(network, x.ctypes.data_as(floats))
    if not is_detector:
        return np.array(output[:n_class])
    library.get_network_boxes.restype = ctypes.POINTER(Detection)
    n = number()
    found = library.get_network_boxes(
        network, number(x.shape[2]), number(x.shape[1]), ctypes.c_float(-1),
        ctypes.c_float(0.5), None, number(1), ctypes.byref(n))
    return np.array([[found[i].box.x, found[i].box.y, found[i].box.w, found[i].box.h,
                      found[i].objectness, *found[i].prob[:n_class]] for i in range(n.value)])


if __name__ == '__main__':
    library, cfg, weights, source, target, n_class, kind = sys.argv[1:]
    x = np.ascontiguousarray(np.load(source), dtype='f')
    np.save(target, forward(ctypes.CDLL(library), cfg, weights, x, int(n_class),
                            kind == 'detector'))
