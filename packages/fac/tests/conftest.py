"""What several test modules share: linear networks that can be followed by hand, a toy task, one cache of programs."""

from collections.abc import Callable
from types import SimpleNamespace

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.rendering import choose_gl_backend
from offlow_core.suites.task import Task

choose_gl_backend()  # before anything imports MuJoCo

WIDTHS = dict.fromkeys(("actor_hidden_dims", "value_hidden_dims"), (8,))


@pytest.fixture(scope="session", autouse=True)
def compile_equal_programs_once(tmp_path_factory) -> str:
    """Most of the time of these tests is compilation, much of it of programs that another learner has compiled."""
    folder = str(tmp_path_factory.mktemp("programs"))
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def linear(*rows: list[float], bias: float = 0.0) -> dict:
    """A network that computes inputs @ rows + bias: GELU(u) - GELU(-u) = u makes its hidden layer linear."""
    kernel = jnp.array(rows)
    identity = jnp.eye(kernel.shape[1])
    return {
        "Dense_0": {"kernel": jnp.concatenate([kernel, -kernel], 1), "bias": jnp.zeros(2 * kernel.shape[1])},
        "Dense_1": {"kernel": jnp.concatenate([identity, -identity]), "bias": jnp.full(kernel.shape[1], bias)},
    }


def members(*networks: dict) -> dict:
    """A critic whose members are these networks."""
    return {"value_net": jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)}


class Push(gymnasium.Env):
    """Two numbers and a one-dimensional push; ends when the first passes 1, else after 4 steps."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.normal(size=2), 0
        return self.place.astype(np.float32), {}

    def step(self, action):
        self.steps += 1
        self.place = self.place + np.array([float(action[0]), 0.1 * self.np_random.normal()])
        done = bool(self.place[0] > 1)
        return self.place.astype(np.float32), float(done), done, self.steps == 4, {"success": float(done)}


def make_dataset(n: int = 22, shape: tuple[int, ...] = (2,), seed: int = 0) -> Dataset:
    """Trajectories of 11 steps with actions in one dimension; half as many validation transitions."""

    def part(n: int, seed: int) -> Transitions:
        rng = np.random.default_rng(seed)
        images = len(shape) == 3
        frames = rng.integers(0, 256, (n + 1, *shape), np.uint8) if images else rng.normal(size=(n + 1, *shape))
        frames = frames if images else frames.astype(np.float32)
        ends = np.arange(n) % 11 == 10
        return Transitions.from_arrays(
            frames[:-1], rng.uniform(-1, 1, (n, 1)), rng.normal(size=n), rng.random(n) < 0.9, ends, frames[1:]
        )

    return Dataset(part(n, seed), part(n // 2, seed + 1), {})


def make_task(make_environment: Callable = Push) -> Task:
    return Task("push", "push", "toy", 4, make_environment, make_dataset, dict)


@pytest.fixture(scope="session")
def toys() -> SimpleNamespace:
    """The helpers of this module."""
    return SimpleNamespace(
        linear=linear, members=members, Push=Push, make_dataset=make_dataset, make_task=make_task, WIDTHS=WIDTHS
    )
