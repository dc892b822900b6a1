"""What tests and benchmarks hold against the package; nothing here is used in training."""
