"""From the sampler to the trainer: what happens in each iteration, and beside it."""
