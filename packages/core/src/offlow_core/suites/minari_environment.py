"""The environment that a Minari dataset names for its evaluation."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from offlow_core.data.minari_files import MinariFolder, at, leaf_paths
from offlow_core.suites import mujoco_repairs
from offlow_core.suites.fitted_environment import UnusableEnvironmentError, fitted
from offlow_core.suites.mujoco_remarks import settotalmass_remark_hidden
from offlow_core.suites.named_environment import register_robotics


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
            raise UnusableEnvironmentError(
                f"{self.dataset}: its observations have {self.observation_width} numbers, but those of "
                f"{env.spec.id} as it is installed have the shape {width}: the environment has changed since. Train "
                "with --eval_interval=0, or install the version that the dataset was made with."
            )
        return fitted(env, self.dataset, self.frame_stack)


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

    A dataset may come from anybody: it chooses among registered environments and gymnasium's own wrappers, but does not
    name functions to call.
    """
    spec = read_specification(specification, name)
    register_robotics()
    registered = gymnasium.registry.get(spec.id)
    if registered is None:
        raise UnusableEnvironmentError(
            f"{name}: its environment {spec.id} is not one of those that gymnasium {gymnasium.__version__} and "
            "gymnasium-robotics have. Train with --eval_interval=0, or write the dataset into an .npz file of your own "
            "(offlow data convert) and name an environment for that (own/LABEL, --environment)."
        )
    spec.entry_point, spec.vector_entry_point = registered.entry_point, None
    for wrapper in spec.additional_wrappers:
        module, _, kind = wrapper.entry_point.partition(":")
        if not module.startswith("gymnasium.wrappers") or kind not in gymnasium.wrappers.__all__:
            raise UnusableEnvironmentError(f"{name}: its environment has the wrapper {kind}, which is not gymnasium's.")
    rendering = {} if render_mode is None else {"render_mode": render_mode}
    try:
        with settotalmass_remark_hidden():
            return gymnasium.make(spec, disable_env_checker=True, **rendering)
    except Exception as error:  # environments of other versions fail in ways of their own
        raise UnusableEnvironmentError(
            f"{name}: its environment {spec.id} cannot be made ({error!r}). Install the version of its package that "
            "the dataset was made with, or train with --eval_interval=0."
        ) from error


def _restore_margins(env: gymnasium.Env, name: str) -> None:
    model = getattr(env.unwrapped, "model", None)
    if model is not None and model.geom_margin.any() and mujoco_repairs.margins_add_up():
        mujoco_repairs.restore_contact_margin(model)
        mujoco_repairs.announce_margins(name)
