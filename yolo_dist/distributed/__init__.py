"""The processes of a job: their start and end, devices, workers and the mean of gradients."""
