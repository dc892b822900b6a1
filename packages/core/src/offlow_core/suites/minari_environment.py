"""The environment that a Minari dataset names for its evaluation."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from offlow_core.data.minari_files import MinariFolder, at, leaf_paths
from offlow_core.rendering import render_arguments
from offlow_core.suites import mujoco_repairs
from offlow_core.suites.fitted_environment import UnusableEnvironmentError, fitted
from offlow_core.suites.mujoco_remarks import settotalmass_remark_hidden
from offlow_core.suites.named_environment import register_robotics
from offlow_core.suites.simulation import simulation_of

# Those of gymnasium's wrappers that change only what an environment takes and returns; others write files, show windows
# or need further packages.
_WRAPPERS = (
    "ClipAction",
    "ClipReward",
    "DtypeObservation",
    "FilterObservation",
    "FlattenObservation",
    "OrderEnforcing",
    "PassiveEnvChecker",
    "RecordEpisodeStatistics",
    "RescaleAction",
    "RescaleObservation",
    "TimeAwareObservation",
    "TimeLimit",
)
_PATH = re.compile(r"[/\\]|^[.~]|\.xml$", re.IGNORECASE)
_WITHOUT_IT = (
    "Train with --eval_interval=0, or write the dataset into an .npz file of your own (offlow data convert) and name "
    "an environment for that (own/LABEL, --environment)."
)


@dataclass(frozen=True)
class StoredEnvironment:
    """Factory of the environments that a stored specification describes, fitted to training (see `fitted`).

    Raises UnusableEnvironmentError where the environment is not installed, or has become another one.
    """

    dataset: str
    specification: str
    """As JSON."""
    observation_width: int | None
    """Length of the dataset's observations; None for images."""
    frame_stack: int | None = None
    legacy_contact_margin: bool = False
    """Whether models with contact margins get those of older MuJoCo versions back."""

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment; with a `render_mode`, one that renders."""
        env = make(self.specification, self.dataset, render_mode)
        if self.legacy_contact_margin:
            _restore_margins(env, self.dataset)
        if isinstance(env.observation_space, gymnasium.spaces.Dict):
            env = FlatObservations(env, self.dataset)
        width = env.observation_space.shape
        if self.observation_width is not None and width != (self.observation_width,):
            installed = read_specification(self.specification, self.dataset).id
            raise UnusableEnvironmentError(
                f"{self.dataset}: its observations have {self.observation_width} numbers, but those of "
                f"{installed} as it is installed have the shape {width}: the environment has changed since. Train "
                "with --eval_interval=0, or install the version that the dataset was made with."
            )
        return fitted(env, self.dataset, self.frame_stack)

    def repairs_margins(self) -> bool:
        """Whether its environments have their contact margins repaired; False where none can be made."""
        if not self.legacy_contact_margin:
            return False
        try:
            env = make(self.specification, self.dataset, None)
        except UnusableEnvironmentError:
            return False
        with contextlib.closing(env):
            return _needs_repair(env)


class FlatObservations(gymnasium.ObservationWrapper):
    """Puts the parts of a Dict observation one after another, in alphabetical order of their keys, as float32."""

    def __init__(self, env: gymnasium.Env, name: str):
        super().__init__(env)
        self._paths = leaf_paths(env.observation_space, name)
        width = sum(at(env.observation_space, path).shape[0] for path in self._paths)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32)

    def observation(self, observation: dict[str, Any]) -> np.ndarray:
        return np.concatenate([np.asarray(at(observation, path), np.float32) for path in self._paths])


def stored_specification(stored: MinariFolder) -> str | None:
    """The specification (JSON) of the environment to evaluate in, or of the one that was recorded; None for neither."""
    return stored.metadata.get("eval_env_spec") or stored.metadata.get("env_spec")


def read_specification(text: str, name: str) -> EnvSpec:
    """The specification, also in the form that older versions of gymnasium have stored."""
    try:
        stored = json.loads(text)
        known = {field.name for field in dataclasses.fields(EnvSpec) if field.init}
        stored = {"additional_wrappers": []} | {key: value for key, value in stored.items() if key in known}
        return EnvSpec.from_json(json.dumps(stored))
    except (ValueError, TypeError, AttributeError, gymnasium.error.Error) as error:
        raise UnusableEnvironmentError(f"{name}: its stored environment cannot be read ({error}).") from error


def make_stored(stored: MinariFolder) -> gymnasium.Env:
    """The dataset's environment as it is, not fitted."""
    text = stored_specification(stored)
    if text is None:
        raise UnusableEnvironmentError(f"{stored.path}: neither spaces nor an environment are stored with the dataset.")
    return make(text, str(stored.path), None)


def make(specification: str, name: str, render_mode: str | None) -> gymnasium.Env:
    """The environment of a specification (JSON), as gymnasium and gymnasium-robotics have it today.

    A dataset may come from anybody: it chooses among registered environments and a few of gymnasium's wrappers, but
    names neither functions to call nor files to open.
    """
    spec = read_specification(specification, name)
    register_robotics()
    registered = gymnasium.registry.get(spec.id)
    if registered is None:
        raise UnusableEnvironmentError(
            f"{name}: its environment {spec.id} is not one of those that gymnasium {gymnasium.__version__} and "
            f"gymnasium-robotics have. {_WITHOUT_IT}"
        )
    spec.entry_point, spec.vector_entry_point = registered.entry_point, None
    _refuse_paths(spec.kwargs, f"{name}: its environment {spec.id}")
    for wrapper in spec.additional_wrappers:
        module, _, kind = wrapper.entry_point.partition(":")
        if not f"{module}.".startswith("gymnasium.wrappers.") or kind not in _WRAPPERS:
            raise UnusableEnvironmentError(
                f"{name}: its environment has the wrapper {wrapper.entry_point}, but a dataset may only name these of "
                f"gymnasium's: {', '.join(_WRAPPERS)}. {_WITHOUT_IT}"
            )
        _refuse_paths(wrapper.kwargs, f"{name}: the wrapper {kind} of its environment")
    try:
        with settotalmass_remark_hidden():
            return gymnasium.make(spec, disable_env_checker=True, **render_arguments(render_mode))
    except Exception as error:  # environments of other versions fail in ways of their own
        raise UnusableEnvironmentError(
            f"{name}: its environment {spec.id} cannot be made ({error!r}). Install the version of its package that "
            "the dataset was made with, or train with --eval_interval=0."
        ) from error


def _refuse_paths(arguments: Mapping[str, Any] | None, who: str) -> None:
    for key, value in (arguments or {}).items():
        for text in _texts(value):
            if _PATH.search(text):
                raise UnusableEnvironmentError(
                    f"{who} has the argument {key}={text!r}, which looks like a file; a dataset may not name files to "
                    f"open. {_WITHOUT_IT}"
                )


def _texts(value: Any) -> Iterator[str]:
    """All strings in a value as JSON has them, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        parts = [*value, *value.values()] if isinstance(value, Mapping) else value
        for part in parts:
            yield from _texts(part)


def _needs_repair(env: gymnasium.Env) -> bool:
    """Whether the model has contact margins, and this MuJoCo takes them differently."""
    model = getattr(env.unwrapped, "model", None)
    return model is not None and bool(model.geom_margin.any()) and mujoco_repairs.margins_add_up()


def _restore_margins(env: gymnasium.Env, name: str) -> None:
    if _needs_repair(env):
        mujoco_repairs.restore_contact_margin(simulation_of(env).model)
        mujoco_repairs.announce_margins(name)
