"""Collects OGBench data sets with the scripted oracles of the `ogbench` package, by the benchmark's own protocol."""
