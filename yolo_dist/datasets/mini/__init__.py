"""The generated sets: handwritten digits on photographs, in the layouts of the real sets."""
