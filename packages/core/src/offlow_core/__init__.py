"""Datasets, environments, training runs and evaluation shared by the offlow algorithms."""
