"""Kernels for a GPU: updates of many tensors at once and packing of gradients."""
