"""The sections of an experiment file, each key with its type and range."""

from typing import Annotated, Literal

import pydantic


class Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra='forbid', strict=True, frozen=True)


Count = Annotated[int, pydantic.Field(ge=1)]
Positive = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
Text = Annotated[str, pydantic.Field(min_length=1)]


def _multiple_of_32(size):
    if size < 32 or size % 32:
        below = max(32, size // 32 * 32)
        raise ValueError(f'expected a multiple of 32, such as {below} or {below + 32}')
    return size


InputSize = Annotated[int, pydantic.AfterValidator(_multiple_of_32)]


class Paper(Section):
    """What is reproduced.

    ``reported`` maps our metric names to the paper's values (empty where it
    printed none); ``assumptions`` lists the reading of each point it leaves open.
    """

    source: Text
    reported: dict[str, float]
    assumptions: list[Text]


class CommunicatorConfig(Section):
    """``auto`` is ``pure_nccl`` on a GPU and ``naive`` on a CPU."""

    name: Literal['auto', 'naive', 'pure_nccl']
    allreduce_grad_dtype: Literal['float16', 'float32']


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


class ClassificationData(Section):
    root: Text
    train: Text
    val: Text
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
    root: Text
    train: Annotated[list[Text], pydantic.Field(min_length=1)]
    val: Annotated[list[Text], pydantic.Field(min_length=1)]
    class_names: list[Text] | None
    input_size_px: InputSize
    multi_scale: MultiScale | None
    batch_size_per_worker: Count
    n_loader_processes: Annotated[int, pydantic.Field(ge=0)]
    augmentation: DetectionAugmentation
    evaluation: DetectionEvaluation


class ClassificationModel(Section):
    name: Literal['darknet19', 'darknet53']
    n_class: Count
    width: Positive
    bn_decay: Fraction
    pretrained: Text | None


class DetectionModel(Section):
    name: Literal['yolo_v2', 'yolo_v3']
    n_class: Count
    width: Positive
    bn_decay: Fraction
    pretrained: Text | None
    anchors: list | None
    loss_norm: Literal['image', 'positive', 'cell']
    ignore_thresh: Fraction
    prior_images: Annotated[int, pydantic.Field(ge=0)]


class OptimizerConfig(Section):
    base_lr: Positive
    lr_rule: Literal['goyal', 'literal', 'darknet']
    base_lr_batch_size: Count | None
    momentum: Fraction
    weight_decay: NonNegative
    weight_decay_on: Literal['conv_weights', 'all']

    @pydantic.model_validator(mode='after')
    def _base_lr_batch_size_belongs_to_goyal(self):
        if (self.lr_rule == 'goyal') != (self.base_lr_batch_size is not None):
            raise ValueError(
                'base_lr_batch_size is the batch that base_lr belongs to under lr_rule goyal; '
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
    epochs: Positive
    warmup: Literal['paper', 'goyal', 'none']
    warmup_epochs: NonNegative
    decay: Annotated[Polynomial | Step | Constant, pydantic.Field(discriminator='kind')]

    @pydantic.model_validator(mode='after')
    def _warmup_has_room(self):
        least = {'paper': 1, 'goyal': 0, 'none': None}[self.warmup]
        if least is None and self.warmup_epochs:
            raise ValueError(f'warmup none goes with warmup_epochs 0, found {self.warmup_epochs}')
        if least is not None and self.warmup_epochs <= least:
            raise ValueError(f'warmup {self.warmup} needs warmup_epochs above {least}, '
                             f'found {self.warmup_epochs}')
        return self


class Run(Section):
    """``stop_after_epochs`` ends a sitting early; ``--resume`` goes on from there."""

    seed: Annotated[int, pydantic.Field(ge=0)]
    log_every_iterations: Count
    evaluate_every_epochs: Positive
    snapshot_every_epochs: Positive
    keep_snapshots: Count
    stop_after_epochs: Positive | None


class RunConfig(Section):
    """One training run. ``workers`` is the paper's number of GPUs, k."""

    name: Text
    task: str
    workers: Count
    paper: Paper
    communicator: CommunicatorConfig
    data: Section
    model: Section
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    run: Run

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


RUN_CLASSES = {'classification': ClassificationRun, 'detection': DetectionRun}


class SweepRow(Section):
    set: dict[str, object]
    paper: dict[str, float]


class Sweep(Section):
    name: Text
    base: Text
    paper: Paper
    runs: Annotated[dict[str, SweepRow], pydantic.Field(min_length=1)]
