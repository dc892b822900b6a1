"""How D4RL's rows become transitions, where published methods differ."""

from dataclasses import dataclass

import numpy as np

from offlow_core.data.d4rl_rows import qlearning_rows, to_transitions
from offlow_core.data.transitions import Transitions, clip_actions
from offlow_core.suites.d4rl_environments.families import Family


@dataclass(frozen=True)
class ConversionRules:
    """The choices of one method; what rewards are scaled to afterwards is the method's own business.

    In AntMaze's files reward and terminal are 1 at the rows whose successor is at the goal, and the recorded episode
    goes on after them.
    """

    goal_ends_trajectory: bool
    """Whether such a row ends a trajectory; elsewhere a terminal row always does."""
    antmaze_reward_shift: float
    """Added to AntMaze's rewards."""
    clips_actions: bool
    """Whether actions are clipped to +-(1 - 1e-5)."""

    def reward_shift(self, family: Family) -> float:
        """What training adds to each reward of this environment, those collected online included."""
        return self.antmaze_reward_shift if family.kind == "antmaze" else 0.0

    def transitions(self, file: dict[str, np.ndarray], family: Family) -> Transitions:
        """The transitions of a file's arrays; `timeouts` may be missing, episodes then end at the step limit."""
        rows = qlearning_rows(file["terminals"], file.get("timeouts"), max_episode_steps=family.episode_steps)
        arrays = file | {"actions": clip_actions(file["actions"])} if self.clips_actions else file
        return to_transitions(
            arrays,
            rows,
            terminal_ends_trajectory=self._terminal_ends_trajectory(family),
            reward_shift=self.reward_shift(family),
        )

    def semantics(self, family: Family) -> dict:
        """The choices in words, for the manifest of a run."""
        ends = self._terminal_ends_trajectory(family)
        return {
            "rows": "D4RL's qlearning_dataset",
            "trajectory_ends": "discontinuities and terminals" if ends else "discontinuities",
            "reward_shift": self.reward_shift(family),
            "actions": "clipped to +-(1 - 1e-5)" if self.clips_actions else "as recorded",
        }

    def _terminal_ends_trajectory(self, family: Family) -> bool:
        return self.goal_ends_trajectory or family.kind != "antmaze"


RULES = {
    "fql": ConversionRules(goal_ends_trajectory=False, antmaze_reward_shift=-1.0, clips_actions=True),
    "dac": ConversionRules(goal_ends_trajectory=True, antmaze_reward_shift=0.0, clips_actions=True),
    "diffusion_ql": ConversionRules(goal_ends_trajectory=True, antmaze_reward_shift=0.0, clips_actions=False),
}
"""By `SuiteOptions.d4rl_rules`."""
