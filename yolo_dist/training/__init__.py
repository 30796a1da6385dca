"""Training, from the sampler to the trainer: the iteration, and the work beside it."""
