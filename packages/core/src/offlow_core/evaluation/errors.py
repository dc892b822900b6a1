"""What an evaluation reports when it cannot go on."""


class EvaluationError(RuntimeError):
    """An episode could not be played to its end: the environment raised, a worker died, or an action was unusable."""
