"""The result files of the official code, made from runs."""
