"""Estimates before a run starts: iterations, memory, hours, speed-up."""
