"""One training run: options, run directory, loop, loggers, progress, checkpoints and resume."""
