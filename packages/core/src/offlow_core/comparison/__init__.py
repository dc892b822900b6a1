"""Runs of any package side by side: honest statistics over seeds and tasks."""
