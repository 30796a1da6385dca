"""The sections of an experiment file, each key with its type and range."""

import math
from typing import Annotated, Literal

import pydantic


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra='forbid', strict=True, frozen=True)


Count = Annotated[int, pydantic.Field(ge=1)]
Positive = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]
# What NumPy's generators take.
Seed = Annotated[int, pydantic.Field(ge=0, lt=1 << 32)]
Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
Text = Annotated[str, pydantic.Field(min_length=1)]


def _multiple_of_32(size):
    if size < 32 or size % 32:
        below = max(32, size // 32 * 32)
        raise ValueError(f'expected a multiple of 32, such as {below} or {below + 32}')
    return size


InputSize = Annotated[int, pydantic.AfterValidator(_multiple_of_32)]


_MAX_NAME_BYTES = 200  # most file systems take 255, and a name gets endings


def _is_folder_name(text):
    return (text.isprintable() and text == text.strip() and text not in ('', '.', '..')
            and not text.startswith('-') and '/' not in text and '\\' not in text
            and len(text.encode()) <= _MAX_NAME_BYTES)


def _name_of_folders(text):
    """Check a name, which becomes a folder below --results and a line of a job script."""
    if not all(map(_is_folder_name, text.split('/'))):
        raise ValueError(
            'expected a name that can be a folder: printable, on one line, without a backslash, '
            f'at most {_MAX_NAME_BYTES} bytes, neither . nor .., with no blank at its ends and '
            'no - at its start')
    return text


def _name_of_folder(text):
    if '/' in text:
        raise ValueError('expected one name, without /')
    return _name_of_folders(text)


# A run as a run directory has it may be SWEEP/ROW/seed_S.
RunName = Annotated[str, pydantic.AfterValidator(_name_of_folders)]
Name = Annotated[str, pydantic.AfterValidator(_name_of_folder)]


def _renamed(**new_names):
    """Return a validator that reads names of version 0.1 as those of today."""
    return pydantic.BeforeValidator(
        lambda name: new_names.get(name, name) if isinstance(name, str) else name)


class Paper(Section):
    """What is reproduced.

    ``reported`` maps our metric names to the paper's values (empty where it
    printed none); ``assumptions`` lists the reading of each point it leaves open.
    A row of a sweep has the assumptions of its base, then those of the sweep.
    """

    source: Text
    reported: dict[str, float]
    assumptions: list[Text]


class CommunicatorConfig(Section):
    """What crosses workers.

    ``auto`` is ``pure_nccl`` on a GPU and ``naive`` on a CPU. Gradients are cast to
    ``allreduce_grad_dtype``, summed in it and divided by k, as in the paper; with
    ``prescale_gradients`` they are divided before the sum. ``multi_node_bn``
    normalises over the batch of all workers, which the paper does not.
    """

    name: Literal['auto', 'naive', 'pure_nccl']
    allreduce_grad_dtype: Literal['float16', 'float32']
    prescale_gradients: bool
    double_buffering: bool
    multi_node_bn: bool


class ClassificationAugmentation(Section):
    min_crop_px: Count
    max_crop_px: Count
    aspect_ratio: Fraction
    angle_degrees: NonNegative
    hue: Fraction
    saturation: Positive
    exposure: Positive
    flip: bool


class DetectionAugmentation(Section):
    jitter_kind: Literal['place', 'crop']
    jitter: Fraction
    hue: Fraction
    saturation: Positive
    exposure: Positive
    flip: bool


class ClassificationEvaluation(Section):
    input_size_px: InputSize
    batch_size: Count


class DetectionEvaluation(Section):
    input_size_px: InputSize
    batch_size: Count
    use_07_metric: bool
    score_thresh: Fraction
    nms_thresh: Fraction


def _all_different(names):
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'expected different names, but {name!r} stands {names.count(name)} '
                             'times')
        if name != name.strip():
            raise ValueError(f'expected names without blanks at their ends, but found {name!r}')
    return names


def _names_or_others(value):
    if value == 'others':
        return value
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError('expected a list of class names, or the word others')
    return _all_different(value)


Names = Annotated[list[Text], pydantic.AfterValidator(_all_different)]


class ClassificationData(Section):
    """``n_synthetic_examples`` synthetic images stand for the files where it is given.

    Keys with a value here are the exceptions from "no defaults": what most sets do not need.
    ``on_bad_example`` says what becomes of examples that cannot be read: with ``skip`` another
    training example stands for each, and held-out ones are left out. Images of
    ``ignore_classes`` are left out.
    """

    root: Text
    n_synthetic_examples: Count | None
    train: Text
    val: Text
    on_bad_example: Literal['error', 'skip'] = 'error'
    ignore_classes: Names = []
    input_size_px: InputSize
    batch_size_per_worker: Count
    n_loader_processes: Annotated[int, pydantic.Field(ge=0)]
    augmentation: ClassificationAugmentation
    evaluation: ClassificationEvaluation


class MultiScale(Section):
    """Sizes that the network input is drawn from, the same for all workers."""

    sizes_px: Annotated[list[InputSize], pydantic.Field(min_length=1)]
    every_iterations: Count
    final_iterations: Annotated[int, pydantic.Field(ge=0)]


class DetectionData(Section):
    """``n_synthetic_examples`` synthetic images stand for the files where it is given.

    Keys with a value here are the exceptions from "no defaults": what most sets do not need.
    ``on_bad_example`` is as in :class:`ClassificationData`. Boxes without area, without four
    numbers or outside the image are ``invalid_boxes``. ``class_names: null`` means the 20 of
    VOC, but without ``model.n_class`` all classes of the training set, sorted. The run's
    ``config.yaml`` holds those. Objects of ``ignore_classes`` are left out, with ``others`` all
    that are not in ``class_names``.
    """

    root: Text
    n_synthetic_examples: Count | None
    train: Annotated[Names, pydantic.Field(min_length=1)]
    val: Annotated[Names, pydantic.Field(min_length=1)]
    class_names: Names | None
    on_bad_example: Literal['error', 'skip'] = 'error'
    invalid_boxes: Literal['error', 'drop'] = 'error'
    ignore_classes: Annotated[object, pydantic.AfterValidator(_names_or_others)] = []
    input_size_px: InputSize
    multi_scale: MultiScale | None
    batch_size_per_worker: Count
    n_loader_processes: Annotated[int, pydantic.Field(ge=0)]
    augmentation: DetectionAugmentation
    evaluation: DetectionEvaluation


class ClassificationModel(Section):
    """The network; ``dtype`` is what it computes in, see ``yolo_dist.distributed.device``.

    Without ``n_class`` it has as many classes as there are names of classes.
    """

    name: Literal['darknet19', 'darknet53']
    n_class: Count | None = None
    width: Positive
    bn_decay: Fraction
    dtype: Literal['float32', 'tf32', 'mixed16']
    pretrained: Text | None


def _list_or_fit(anchors):
    if not (anchors is None or anchors == 'fit' or isinstance(anchors, list)):
        raise ValueError('expected a list of (height, width), or fit, or null')
    return anchors


Anchors = Annotated[list | str | None, pydantic.PlainValidator(_list_or_fit)]


def _is_size(anchor):
    return isinstance(anchor, list) and len(anchor) == 2 and all(
        type(side) in (int, float) and 0 < side < math.inf for side in anchor)


class DetectionModel(Section):
    """The network; ``dtype`` is what it computes in, see ``yolo_dist.distributed.device``.

    Without ``n_class`` it has as many classes as there are names of classes. ``anchors: fit``
    fits them to the training set when training starts, ``null`` takes Darknet's. The run's
    ``config.yaml`` holds the number and the fitted anchors.
    """

    name: Literal['yolo_v2', 'yolo_v3']
    n_class: Count | None = None
    width: Positive
    bn_decay: Fraction
    dtype: Literal['float32', 'tf32', 'mixed16']
    pretrained: Text | None
    anchors: Anchors
    loss_norm: Literal['image', 'positive', 'cell', 'element']
    ignore_thresh: Fraction
    prior_images: Annotated[int, pydantic.Field(ge=0)]

    @pydantic.model_validator(mode='after')
    def _anchors_are_sizes(self):
        if not isinstance(self.anchors, list):
            return self
        # Of yolo_v2, or of each scale of yolo_v3; the network says which of the two it takes.
        scales = [self.anchors] if any(map(_is_size, self.anchors)) else self.anchors
        for scale in scales or [[]]:
            wrong = [scale] if not isinstance(scale, list) or not scale else [
                anchor for anchor in scale if not _is_size(anchor)]
            if wrong:
                raise ValueError(f'anchors: found {wrong[0]!r:.60}; expected pairs [height, '
                                 'width] of finite numbers above 0, for yolo_v3 a list of '
                                 'them for each of its three scales')
        return self


class Lars(Section):
    """LARS [You et al. 2017] for convolution weights; the others take plain steps."""

    trust_coefficient: Positive
    weight_decay: NonNegative


class OptimizerConfig(Section):
    base_lr: Positive
    lr_rule: Annotated[Literal['linear', 'literal', 'darknet'], _renamed(goyal='linear')]
    base_lr_batch_size: Count | None
    momentum: Fraction
    weight_decay: NonNegative
    weight_decay_on: Literal['conv_weights', 'all']
    lars: Lars | None
    loss_scale: Positive | Literal['dynamic'] | None

    @pydantic.model_validator(mode='after')
    def _weight_decay_is_given_once(self):
        if self.lars is not None and self.weight_decay:
            raise ValueError(
                f'weight decay is given twice, as weight_decay {self.weight_decay:g} and as '
                f'lars.weight_decay {self.lars.weight_decay:g}; LARS has it inside its rate: set '
                'optimizer.weight_decay to 0.0')
        return self

    @pydantic.model_validator(mode='after')
    def _base_lr_batch_size_belongs_to_linear(self):
        if (self.lr_rule == 'linear') != (self.base_lr_batch_size is not None):
            raise ValueError(
                'base_lr_batch_size is the batch that base_lr belongs to under lr_rule linear; '
                'give it there, and null under literal and darknet')
        return self


class Polynomial(Section):
    kind: Literal['polynomial']
    power: Positive


class Step(Section):
    kind: Literal['step']
    at_epochs: list[Positive]
    factor: Positive


class Constant(Section):
    kind: Literal['constant']


class ScheduleConfig(Section):
    """Learning rates over epochs.

    A pretrained backbone keeps its weights for ``frozen_backbone_epochs``.
    """

    epochs: Positive
    warmup: Annotated[Literal['hold_first_epoch', 'gradual', 'none'],
                      _renamed(paper='hold_first_epoch', goyal='gradual')]
    warmup_epochs: NonNegative
    decay: Annotated[Polynomial | Step | Constant, pydantic.Field(discriminator='kind')]
    frozen_backbone_epochs: NonNegative = 0.

    @pydantic.model_validator(mode='after')
    def _warmup_has_room(self):
        least = {'hold_first_epoch': 1, 'gradual': 0, 'none': None}[self.warmup]
        if least is None and self.warmup_epochs:
            raise ValueError(f'warmup none goes with warmup_epochs 0, found {self.warmup_epochs}')
        if least is not None and self.warmup_epochs <= least:
            raise ValueError(f'warmup {self.warmup} needs warmup_epochs above {least}, '
                             f'found {self.warmup_epochs}')
        return self


class Measure(Section):
    """Iterations of a throughput run, those before the measured ones apart."""

    warmup_iterations: Annotated[int, pydantic.Field(ge=0)]
    iterations: Count


class Run(Section):
    """``stop_after_epochs`` ends a session early; ``--resume`` goes on from there.

    With ``measure`` the run is a measurement of speed: that many iterations, neither
    evaluation nor snapshots. A job that gets no further for ``watchdog_seconds`` is ended.
    """

    seed: Seed
    log_every_iterations: Count
    evaluate_every_epochs: Positive
    snapshot_every_epochs: Positive
    keep_snapshots: Count
    stop_after_epochs: Positive | None
    measure: Measure | None
    watchdog_seconds: Positive = 1800.


class RunConfig(Section):
    """One training run. ``workers`` is the paper's number of GPUs, k.

    ``paper`` is left out where a run reproduces nothing of the paper.
    """

    name: RunName
    task: str
    workers: Count
    paper: Paper | None = None
    communicator: CommunicatorConfig
    data: Section
    model: Section
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    run: Run

    @pydantic.model_validator(mode='after')
    def _settings_fit_each_other(self):
        if self.communicator.multi_node_bn and self.model.dtype == 'mixed16':
            raise ValueError('communicator.multi_node_bn squares feature maps in float16 under '
                             'model.dtype mixed16, and overflows above 255; use float32 or tf32')
        if self.optimizer.loss_scale is not None and self.model.dtype != 'mixed16':
            raise ValueError('optimizer.loss_scale is for gradients in float16; give it with '
                             'model.dtype mixed16, or set it to null')
        if self.communicator.double_buffering and self.communicator.name == 'naive':
            raise ValueError('communicator.double_buffering overlaps NCCL with computing, so it '
                             'needs communicator.name pure_nccl, or auto on a GPU')
        return self

    @property
    def reported(self):
        """The paper's values, ``{metric: value}``; empty where it printed none."""
        return {} if self.paper is None else self.paper.reported

    @property
    def global_batch_size(self):
        """``k n``, images."""
        return self.workers * self.data.batch_size_per_worker


class ClassificationRun(RunConfig):
    task: Literal['classification']
    data: ClassificationData
    model: ClassificationModel


class DetectionRun(RunConfig):
    task: Literal['detection']
    data: DetectionData
    model: DetectionModel

    @pydantic.model_validator(mode='after')
    def _classes_are_learned_or_ignored(self):
        if self.data.class_names is None and self.data.ignore_classes == 'others':
            raise ValueError('data.ignore_classes: others leaves out what is not in '
                             'data.class_names, which is null; list the names there')
        both = {*(self.data.class_names or ())} & {*self.data.ignore_classes}
        if both and self.data.ignore_classes != 'others':
            raise ValueError(f'data.ignore_classes: {sorted(both)[0]!r} is also one of '
                             'data.class_names; leave it out of one of the two')
        return self


RUN_CLASSES = {'classification': ClassificationRun, 'detection': DetectionRun}

# What an experiment file need not give, and what stands for it then: dotted key to value.
OPTIONAL_KEYS = {
    f'{name}.{key}': field.default
    for run_class in RUN_CLASSES.values() for name, section in run_class.model_fields.items()
    for key, field in getattr(section.annotation, 'model_fields', {}).items()
    if not field.is_required()}


class SweepRow(Section):
    """One row of a table, one curve of a figure.

    Either a run of its own: ``set`` holds the dotted differences from the sweep's
    ``base``, or from the row's where it has one, and ``paper`` the reported values.
    Or a run of another experiment, shown here and not trained again: ``same_as``
    names it as ``sweep/row``, with the other file beside this one.
    """

    same_as: Text | None = None
    base: Text | None = None
    set: dict[str, object] | None = None
    paper: dict[str, float] | None = None

    @pydantic.model_validator(mode='after')
    def _is_one_of_the_two(self):
        given = [key for key in ('base', 'set', 'paper') if getattr(self, key) is not None]
        if self.same_as is not None and given:
            raise ValueError(f'same_as shows a run as another experiment defines it; leave '
                             f'{" and ".join(given)} out')
        if self.same_as is None:
            for key in ('set', 'paper'):
                if key not in given:
                    raise ValueError(f'{key} is missing; a row has set and paper, or same_as')
        return self


class Sweep(Section):
    """``seeds`` are those over which the experiment reports a mean.

    ``base`` is ``null`` where no row needs one. ``set``, where it is given, holds the
    differences that all rows share; a row's own are applied after them.
    """

    name: Name
    base: Text | None
    set: dict[str, object] = {}
    seeds: Annotated[list[Seed], pydantic.Field(min_length=1)]
    paper: Paper
    runs: Annotated[dict[Name, SweepRow], pydantic.Field(min_length=1)]

    @pydantic.model_validator(mode='after')
    def _every_row_has_a_base(self):
        for name, row in self.runs.items():
            if self.base is None and row.base is None and row.same_as is None:
                raise ValueError(f'base is null, but runs.{name} needs one')
        return self
