"""What an experiment's data and its network look like, before it is trained."""
from yolo_dist.inspection.data import inspect_data
from yolo_dist.inspection.model import describe_model

__all__ = ['describe_model', 'inspect_data']
