"""What a step cannot do without on a CPU: multiplications and passes over memory."""
import chainer
import chainer.links as L
import numpy as np

from yolo_dist.benchmarks.timing import create_sgemm, ratio
from yolo_dist.kernels.cpu.backend_switch import is_cpu_backend_on
from yolo_dist.kernels.cpu.conv_algorithms import get_geometry
from yolo_dist.kernels.cpu.threads import parallel_ranges
from yolo_dist.kernels.cpu.winograd import tile_side
from yolo_dist.planning.speed_up_model import FORWARD_PASSES_PER_STEP

_COPY_BYTES = 1 << 27  # far beyond any cache
_FLOAT_BYTES = 4

# How often the arrays of a block of convolution, normalisation and activation are read or
# written, each by the function that must: in a forward pass the input once, and the output by
# convolution (written), and in training by the moments (read) and normalisation (read, written).
_PASSES = {False: (1, 1), True: (1, 4)}
# Backward: x for the filters, its gradient (written); of the output: two passes over it and its
# gradient, one array written, and that read for both gradients of the convolution.
_BACKWARD_PASSES = (2, 7)
_UPDATE_PASSES = 7  # weights, gradients and velocities, by weight decay and by the update


class _Counter(chainer.LinkHook):
    name = 'yolo_dist_roofline'

    def __init__(self):
        self.n_nominal = self.n_needed = self.n_inputs = self.n_outputs = 0

    def forward_postprocess(self, args):
        link = args.link
        if not isinstance(link, L.Convolution2D):
            return
        y, x = args.out.array, args.args[0]
        pairs = [value if isinstance(value, tuple) else (value, value)
                 for value in (link.stride, link.pad)]
        is_winograd = (is_cpu_backend_on()
                       and get_geometry(link.W.shape, *pairs).algorithm == 'winograd')
        n_operations = 2 * y.size * link.W[0].size
        self.n_nominal += n_operations
        self.n_needed += n_operations / (_winograd_saving(*y.shape[2:]) if is_winograd else 1)
        self.n_inputs += x.size
        self.n_outputs += y.size


def _winograd_saving(height, width):
    """Multiplications of a tile of the output by definition over those that are needed."""
    m = tile_side(height, width)
    return (3 * m) ** 2 / (m + 2) ** 2


def _create_copy():
    source = np.ones(_COPY_BYTES // _FLOAT_BYTES, np.float32)
    target = np.empty_like(source)
    return lambda: parallel_ranges(
        lambda begin, end: np.copyto(target[begin:end], source[begin:end]), source.size)


class Roofline:
    """The two limits of a step, from two contestants measured beside it.

    One is a matrix product, the other a copy in memory: each multiplication that the chosen
    algorithms need would run like the first, each pass over the feature maps and the weights
    that no cache can hold like the second.

    Args:
        model (~chainer.Chain): The network.
        input_size (int): Pixels.
        batch (int): Images.
        training (bool): Whether a step goes backward, too, and updates the weights.

    Attributes:
        contestants (dict of str to callable): To be timed with the step.
    """

    def __init__(self, model, *, input_size, batch, training):
        counter = _Counter()
        imgs = np.zeros((1, 3, input_size, input_size), np.uint8)
        with counter, chainer.using_config('train', False), chainer.no_backprop_mode():
            model(imgs)
        feature_maps = counter.n_inputs, counter.n_outputs
        n_values = batch * np.dot(_PASSES[training], feature_maps)
        n_forward_passes = batch
        if training:
            n_values += batch * np.dot(_BACKWARD_PASSES, feature_maps)
            n_values += _UPDATE_PASSES * model.count_params()
            n_forward_passes *= FORWARD_PASSES_PER_STEP
        self._n_bytes = _FLOAT_BYTES * n_values
        self._n_nominal = n_forward_passes * counter.n_nominal
        self._n_needed = n_forward_passes * counter.n_needed
        sgemm, self._sgemm_operations = create_sgemm()
        self.contestants = {'sgemm': sgemm, 'copy': _create_copy()}

    def figures(self, timings):
        """Put the limits beside the step.

        Args:
            timings (dict of str to Timing): Of the contestants and of ``ours``.

        Returns:
            dict of str to float: ``share_of_sgemm`` counts the operations of the convolutions by
            definition, ``share_of_roofline`` what is needed; 1 would be a step that does
            nothing else.
        """
        ours, sgemm, copy = timings['ours'], timings['sgemm'], timings['copy']
        # Shares of the step.
        peak = ratio(sgemm, ours) / self._sgemm_operations
        products = peak * self._n_needed
        passes = ratio(copy, ours) * self._n_bytes / (2 * _COPY_BYTES)
        return {
            'gflop_per_second': self._n_nominal / ours.median / 1e9,
            'sgemm_gflop_per_second': self._sgemm_operations / sgemm.median / 1e9,
            'share_of_sgemm': peak * self._n_nominal,
            'copy_gib_per_second': 2 * _COPY_BYTES / copy.median / 2 ** 30,
            'products_milliseconds_at_sgemm': 1e3 * products * ours.median,
            'passes_milliseconds_at_copy': 1e3 * passes * ours.median,
            'share_of_roofline': products + passes,
        }
