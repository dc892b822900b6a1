"""Environments that a user names: gymnasium's, gymnasium-robotics', or a function's in a module of their own."""

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gymnasium

from offlow_core.rendering import choose_gl_backend, render_arguments
from offlow_core.suites import gymnasium_mujoco, ogbench_names
from offlow_core.suites.fitted_environment import UnusableEnvironmentError, fitted
from offlow_core.suites.mujoco_remarks import hide_robotics_notice, settotalmass_remark_hidden
from offlow_core.suites.ogbench_environment import OGBenchEnvironment
from offlow_core.suites.options import SuiteOptions


@dataclass(frozen=True)
class NamedEnvironment:
    """Factory of the environments called `name`: a registered gymnasium name, a task of OGBench, or `module:function`.

    They are fitted to training (see `fitted`). Raises UnusableEnvironmentError.
    """

    name: str
    frame_stack: int | None = None
    legacy_contact_margin: bool = True

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment; with a `render_mode`, one that renders."""
        env = make_named(self.name, render_mode, legacy_contact_margin=self.legacy_contact_margin)
        return fitted(env, self.name, self.frame_stack)


def make_named(name: str, render_mode: str | None = None, *, legacy_contact_margin: bool = True) -> gymnasium.Env:
    """The environment as it is, not fitted; a task of Gymnasium's MuJoCo or of OGBench as its suite makes it.

    The module may also lie in the current folder.
    """
    locomotion = gymnasium_mujoco.parse(name)
    if locomotion is not None:
        return gymnasium_mujoco.GymnasiumEnvironment(locomotion, legacy_contact_margin)(render_mode)
    goal = ogbench_names.parse(name)
    if goal is not None:
        return OGBenchEnvironment(goal, SuiteOptions(legacy_contact_margin=legacy_contact_margin))(render_mode)
    choose_gl_backend()
    _look_in_current_folder()
    module, _, attribute = name.partition(":")
    if not attribute.isidentifier():  # a registered name never is one: gymnasium reads `module:Name-v0`
        return _make_registered(name, render_mode)
    make = _import_function(module, attribute, name)
    try:
        env = make(render_mode=render_mode) if _takes_render_mode(make) else make()
    except Exception as error:  # the user's code can fail in any way
        raise UnusableEnvironmentError(f"{name}: making it failed with {type(error).__name__}: {error}") from error
    if not isinstance(env, gymnasium.Env):
        raise UnusableEnvironmentError(
            f"{name}: must return an environment (gymnasium.Env), got {type(env).__name__}. Environments of the older "
            "package `gym` need an adapter."
        )
    if render_mode not in (None, env.render_mode):
        raise UnusableEnvironmentError(
            f'{name}: a film needs an environment that renders; let the function take `render_mode` ("{render_mode}") '
            "and pass it on."
        )
    return env


def register_robotics() -> None:
    """Make the names of gymnasium-robotics known to gymnasium."""
    choose_gl_backend()
    hide_robotics_notice()
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)


def _make_registered(name: str, render_mode: str | None) -> gymnasium.Env:
    if name not in gymnasium.registry:
        register_robotics()
    try:
        with settotalmass_remark_hidden():
            return gymnasium.make(name, disable_env_checker=True, **render_arguments(render_mode))
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise UnusableEnvironmentError(
            f"{name}: gymnasium cannot make this environment ({error}). Expected a registered name such as Hopper-v5, "
            "or module:function, where the function returns an environment."
        ) from error


def _look_in_current_folder() -> None:
    # An installed program does not look there. Last, so that no file there hides an installed package.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)


def _import_function(module: str, attribute: str, name: str) -> Callable[..., gymnasium.Env]:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, but imports one that is not
        raise UnusableEnvironmentError(
            f"{name}: there is no module {error.name!r}, neither installed nor in the current folder {Path.cwd()}."
        ) from error
    function = getattr(found, attribute, None)
    if not callable(function):
        raise UnusableEnvironmentError(
            f"{name}: {getattr(found, '__file__', module)} has no function {attribute!r}. If this is not your file, "
            "another package has its name: rename yours."
        )
    return function


def _takes_render_mode(function: Callable) -> bool:
    parameters = inspect.signature(function).parameters
    return "render_mode" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
