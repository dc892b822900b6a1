"""What can be wrong with what a sweep is asked for."""

from offlow_core.errors import UserError


class SweepError(UserError, RuntimeError):
    """A study, a folder, an environment or an engine with which no sweep can be run."""
