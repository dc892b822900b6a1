"""Transitions: what a dataset is in memory, how files become one, and how samplers read it."""
