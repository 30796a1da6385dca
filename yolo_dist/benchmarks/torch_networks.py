"""The same networks in PyTorch, as a PyTorch user would write them; imported on demand."""
import torch
from torch import nn

from yolo_dist.links import scale_channels


def _conv_block(in_channels, out_channels, ksize, stride=1):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, ksize, stride, ksize // 2, bias=False),
        nn.BatchNorm2d(out_channels, eps=1e-5, momentum=0.01),
        nn.LeakyReLU(0.1, inplace=True))


class _Residual(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.body = nn.Sequential(
            _conv_block(channels, hidden, 1), _conv_block(hidden, channels, 3))

    def forward(self, x):
        return x + self.body(x)


class _Darknet53Stages(nn.ModuleList):
    def __init__(self, width):
        super().__init__()
        hidden = scale_channels(32, width)
        first = [_conv_block(3, hidden, 3)]
        for k, n_block in enumerate((1, 2, 8, 8, 4)):
            channels = scale_channels(64 << k, width)
            blocks = [_Residual(channels, hidden) for _ in range(n_block)]
            self.append(nn.Sequential(
                *first, _conv_block(hidden, channels, 3, 2), *blocks))
            hidden, first = channels, []

    def forward(self, x):
        features = []
        for stage in self:
            x = stage(x)
            features.append(x)
        return features


class _Darknet19Stages(nn.ModuleList):
    def __init__(self, width):
        super().__init__()
        stages = (((32, 3),), ((64, 3),), ((128, 3), (64, 1), (128, 3)),
                  ((256, 3), (128, 1), (256, 3)),
                  ((512, 3), (256, 1), (512, 3), (256, 1), (512, 3)),
                  ((1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3)))
        hidden = 3
        for k, convs in enumerate(stages):
            layers = [nn.MaxPool2d(2)] if k else []
            for paper_channels, ksize in convs:
                channels = scale_channels(paper_channels, width)
                layers.append(_conv_block(hidden, channels, ksize))
                hidden = channels
            self.append(nn.Sequential(*layers))

    forward = _Darknet53Stages.forward


class _Classifier(nn.Module):
    def __init__(self, stages, n_class, width, pool_last):
        super().__init__()
        self.stages = stages
        self.head = nn.Conv2d(scale_channels(1024, width), n_class, 1)
        self.pool_last = pool_last

    def forward(self, x):
        h = self.stages(x)[-1]
        if self.pool_last:
            return self.head(h).mean((2, 3))
        return self.head(h.mean((2, 3), keepdim=True)).flatten(1)


class _YOLOv3(nn.Module):
    def __init__(self, n_fg_class, width):
        super().__init__()
        self.stages = _Darknet53Stages(width)
        self.bodies, self.reducers, self.outputs = (nn.ModuleList() for _ in range(3))
        h = scale_channels(1024, width)
        for i, paper_channels in enumerate((512, 256, 128)):
            n, n2 = (scale_channels(c, width) for c in (paper_channels, 2 * paper_channels))
            if i:
                self.reducers.append(_conv_block(h, n, 1))
                h = n + n2
            self.bodies.append(nn.Sequential(
                _conv_block(h, n, 1), _conv_block(n, n2, 3), _conv_block(n2, n, 1),
                _conv_block(n, n2, 3), _conv_block(n2, n, 1)))
            self.outputs.append(nn.Sequential(
                _conv_block(n, n2, 3), nn.Conv2d(n2, 3 * (5 + n_fg_class), 1)))
            h = n

    def forward(self, x):
        features = self.stages(x)
        h = features.pop()
        ys = []
        for i, (body, output) in enumerate(zip(self.bodies, self.outputs)):
            if i:
                h = nn.functional.interpolate(self.reducers[i - 1](h), scale_factor=2.0)
                h = torch.cat((h, features.pop()), 1)
            h = body(h)
            ys.append(output(h).permute(0, 2, 3, 1).flatten(1))
        return torch.cat(ys, 1)


class _YOLOv2(nn.Module):
    def __init__(self, n_fg_class, width):
        super().__init__()
        self.stages = _Darknet19Stages(width)
        n, n_pass = scale_channels(1024, width), scale_channels(64, width)
        self.deep = nn.Sequential(_conv_block(n, n, 3), _conv_block(n, n, 3))
        self.passthrough = _conv_block(scale_channels(512, width), n_pass, 1)
        self.output = nn.Sequential(
            _conv_block(n + 4 * n_pass, n, 3), nn.Conv2d(n, 5 * (5 + n_fg_class), 1))

    def forward(self, x):
        features = self.stages(x)
        skipped = nn.functional.pixel_unshuffle(self.passthrough(features[-2]), 2)
        y = self.output(torch.cat((skipped, self.deep(features[-1])), 1))
        return y.permute(0, 2, 3, 1).flatten(1)


def build_torch_network(name, n_class, *, width):
    """Build one of the four networks.

    Args:
        name ({'darknet19', 'darknet53', 'yolo_v2', 'yolo_v3'}): Which.
        n_class (int): Number of classes.
        width (float): Factor on all hidden channel counts.

    Returns:
        torch.nn.Module: Logits ``(B, n_class)``, or all raw outputs of a
        detector ``(B, N * (5 + n_class))``.
    """
    if name == 'darknet53':
        return _Classifier(_Darknet53Stages(width), n_class, width, pool_last=False)
    if name == 'darknet19':
        return _Classifier(_Darknet19Stages(width), n_class, width, pool_last=True)
    return {'yolo_v2': _YOLOv2, 'yolo_v3': _YOLOv3}[name](n_class, width)
