"""What a run will take before it starts: iterations, memory, hours, speed-up."""
