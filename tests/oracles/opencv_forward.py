"""Runs a network in OpenCV 4: ``opencv_forward.py CFG WEIGHTS INPUT.npy OUT.npz LAYER...``."""
import sys

import cv2
import numpy as np

if __name__ == '__main__':
    cfg, weights, source, target, *layers = sys.argv[1:]
    cv2.setNumThreads(1)
    network = cv2.dnn.readNetFromDarknet(cfg, weights)
    network.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    network.enableWinograd(False)  # quicker convolutions, which double what is rounded
    network.setInput(np.load(source)[None])
    np.savez(target, *network.forward(layers or network.getUnconnectedOutLayersNames()))
