"""Environments of the `ogbench` package, as the datasets were recorded."""

from dataclasses import dataclass

import gymnasium

from offlow_core.rendering import choose_gl_backend, require_rendering
from offlow_core.suites import mujoco_repairs
from offlow_core.suites.ogbench_names import OGBenchName
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.simulation import simulation_of
from offlow_core.suites.wrappers import (
    Float32Observations,
    FrameStack,
    OwnNumpyStream,
    QuietSpaces,
)


@dataclass(frozen=True)
class OGBenchEnvironment:
    """Factory of one task's environments.

    They return float32 states or uint8 images (stacked where `frame_stack` says so), are reproducible bit for bit from
    `reset(seed=...)` on, and report `info["success"]`.
    """

    name: OGBenchName
    options: SuiteOptions

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment. `render_mode="rgb_array"` checks first that OpenGL works; RenderingError if not."""
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        if self.name.visual or render_mode is not None:
            require_rendering()
        env = make_environment(self.name.environment, self.options)
        if contact_margin_repaired(self.name, self.options):
            mujoco_repairs.restore_contact_margin(simulation_of(env).model)
            mujoco_repairs.announce_margins(self.name.environment)
        if self.name.family.has_ant:
            env = mujoco_repairs.UnitQuaternionsAtReset(env, simulation_of(env).get_ob)
        env = Float32Observations(OwnNumpyStream(env))
        return env if self.options.frame_stack is None else FrameStack(env, self.options.frame_stack)


def make_environment(identifier: str, options: SuiteOptions) -> gymnasium.Env:
    """The package's own environment with a time limit; it renders through `render()` whatever its mode."""
    choose_gl_backend()
    import ogbench  # noqa: F401 (registers the identifiers)

    env = gymnasium.make(identifier, success_timing=options.success_timing, disable_env_checker=True)
    return QuietSpaces(env)


def contact_margin_repaired(name: OGBenchName, options: SuiteOptions) -> bool:
    """Whether contact margins are restored: the task has an ant, this MuJoCo needs it, and nobody turned it off."""
    if not (name.family.has_ant and options.legacy_contact_margin):
        return False
    choose_gl_backend()
    return mujoco_repairs.margins_add_up()
