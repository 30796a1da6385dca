import chainer
import numpy as np
import pytest

from yolo_dist.formats import build_link


@pytest.fixture
def live_link():
    """Builds a link with weights and statistics of batch normalisation as if it were trained.

    The means are those of noise, the variances a little above: so deep a random network neither
    dies nor overflows, and does not magnify what float32 rounds.
    """
    def build(network, seed=0):
        rng = np.random.default_rng(seed)
        link = build_link(network)
        norms = [child for child in link.links()
                 if isinstance(child, chainer.links.BatchNormalization)]
        for bn in norms:
            bn.gamma.array[:] = rng.uniform(0.5, 1, bn.gamma.shape)
            bn.beta.array[:] = rng.normal(0, 0.2, bn.beta.shape)
            bn.decay = 0
        with chainer.using_config('train', True), chainer.no_backprop_mode():
            link(rng.random((2, 3, 96, 96)).astype('f'))
        for bn in norms:
            bn.avg_var += rng.uniform(0.1, 0.5, bn.avg_var.shape).astype('f')
        for child in link.links():
            if getattr(child, 'b', None) is not None:
                child.b.array[:] = rng.normal(0, 0.2, child.b.shape)
        return link
    return build
