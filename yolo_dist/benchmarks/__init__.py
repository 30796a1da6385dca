"""What `python -m yolo_dist.bench` measures, and how."""
