"""The D4RL suite: the original datasets, and their environments in current simulators."""

import functools
from dataclasses import dataclass

import gymnasium

from offlow_core.suites.d4rl_dataset import fetch, files, load_dataset
from offlow_core.suites.d4rl_environments import make_environment
from offlow_core.suites.d4rl_environments import semantics as environment_semantics
from offlow_core.suites.d4rl_names import D4RLName, all_names, parse
from offlow_core.suites.d4rl_rules import RULES
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.task import Task
from offlow_core.suites.wrappers import FrameStack

__all__ = ["all_names", "parse", "task"]


@dataclass(frozen=True)
class D4RLEnvironment:
    """Factory of one task's environments; they return float32 states, stacked where `frame_stack` says so."""

    name: D4RLName
    options: SuiteOptions

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """A new environment, with a time limit; `render_mode` is None or "rgb_array"."""
        env = make_environment(
            self.name.family.name,
            self.name.version,
            legacy_contact_margin=self.options.legacy_contact_margin,
            goal_seed=self.options.d4rl_goal_seed or 0,
            render_mode=render_mode,
        )
        return env if self.options.frame_stack is None else FrameStack(env, self.options.frame_stack)


def task(name: D4RLName, options: SuiteOptions) -> Task:
    """The task of a parsed name."""
    return Task(
        name=name.given,
        canonical_name=name.canonical,
        suite="d4rl",
        episode_steps=name.family.episode_steps,
        make_environment=D4RLEnvironment(name, options),
        load_dataset=functools.partial(load_dataset, name, options),
        semantics=functools.partial(_semantics, name, options),
        score=name.score,
        reward_shift=RULES[options.d4rl_rules].reward_shift(name.family),
        files=functools.partial(files, name, options),
        fetch=functools.partial(fetch, name, options),
    )


def _semantics(name: D4RLName, options: SuiteOptions) -> dict:
    family, score = name.family, name.score
    return {
        "suite": "d4rl",
        "version": name.version,
        "dataset": name.file,
        "dataset_rules": {"name": options.d4rl_rules, **RULES[options.d4rl_rules].semantics(family)},
        "score": score.name,
        "score_bounds": [score.low, score.high],
        "frame_stack": options.frame_stack,
        **environment_semantics(family.name, name.version, options.legacy_contact_margin, options.d4rl_goal_seed or 0),
    }
