"""What an evaluation reports when it cannot go on."""

from offlow_core.errors import UserError


class EvaluationError(UserError, RuntimeError):
    """An episode could not be played to its end: the environment raised, a worker died, or an action was unusable."""
