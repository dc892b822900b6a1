"""Training without data: what stands in the dataset's place."""

from offlow_core.data.transitions import Dataset, empty_transitions
from offlow_core.data.validation import DatasetError
from offlow_core.suites.fitted_environment import UnusableEnvironmentError
from offlow_core.suites.task import Task


def no_data(task: Task) -> Dataset:
    """No transition at all, in the shapes of the task's environment.

    DatasetError where the task has no environment, UnusableEnvironmentError where observations are no vectors.
    """
    if task.make_environment is None:
        raise DatasetError(f"{task.name} has no environment to train in from scratch; name one with --environment.")
    observations, actions = task.spaces()
    shape = observations.shape
    if len(shape) != 1:
        raise UnusableEnvironmentError(
            f"{task.name}: training from scratch needs observations that are state vectors, got "
            f"{'x'.join(map(str, shape))}; choose the task's state variant"
        )
    return Dataset(
        empty_transitions(shape[0], actions.shape[0]),
        None,
        {"source": "none", "files": [], "transitions": {"train": 0}},
    )
