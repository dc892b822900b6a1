"""Environments under exploration: transitions, resets, positions that are found again."""

import gymnasium
import numpy as np
import pytest

from offlow_core.data.reward_rules import RewardMap
from offlow_core.training.interaction import Interaction


class Maze(gymnasium.Env):
    """Hidden position with noise; really ends beyond 1.5, is cut off after 4 steps. Its goal differs by episode."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    closed = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal, self.steps = 0.0, self.np_random.normal(), 0
        return self.observation(), {}

    def step(self, action):
        self.steps += 1
        self.place += float(action[0]) + 0.1 * self.np_random.normal()
        done = self.place > 1.5
        return self.observation(), self.place, done, self.steps == 4, {"success": float(done)}

    def observation(self):
        return np.array([self.place, self.goal], np.float32)

    def close(self):
        Maze.closed += 1


class Mute(Maze):
    """Says nothing about success."""

    def step(self, action):
        return *super().step(action)[:4], {}


def walk(interaction: Interaction, *actions: float) -> list[dict]:
    return [interaction.step(np.full((len(interaction.observations), 1), a, np.float32)) for a in actions]


def test_transitions_chain_and_masks_tell_true_ends_from_time_limits():
    interaction = Interaction(Maze, [0, 7])
    steps = walk(interaction, 1, 1, 0, 0, 0, 0, 0)
    assert {name: values.shape for name, values in steps[0].items()} == {
        "observations": (2, 2),
        "actions": (2, 1),
        "rewards": (2,),
        "masks": (2,),
        "terminals": (2,),
        "next_observations": (2, 2),
    }
    assert all(values.dtype == np.float32 for values in steps[0].values())
    # The second step passes 1.5, the next episode is cut off in its fourth.
    assert [step["masks"].tolist() for step in steps] == [[1, 1], [0, 0], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1]]
    np.testing.assert_array_equal(steps[0]["next_observations"], steps[1]["observations"])
    # After an end the successor is still the old episode's, the next observation the new one's.
    assert (steps[1]["next_observations"][:, 0] > 1.5).all()
    assert (steps[2]["observations"][:, 0] == 0).all()
    assert (steps[6]["observations"][:, 0] == 0).all()


def test_episodes_and_seeds_start_differently_and_reproducibly():
    first, second = Interaction(Maze, [0, 1]), Interaction(Maze, [0, 1])
    goals = [interaction.observations[:, 1].tolist() for interaction in (first, second)]
    assert goals[0] == goals[1]
    assert goals[0][0] != goals[0][1]
    walk(first, 0, 0, 0, 0)
    assert set(first.observations[:, 1]).isdisjoint(goals[0])


def test_a_shift_of_rewards_reaches_transitions_but_not_returns():
    plain, shifted = Interaction(Maze, [0]), Interaction(Maze, [0], RewardMap(shift=1.0))
    for one, other in zip(walk(plain, *[0.1] * 4), walk(shifted, *[0.1] * 4), strict=True):
        assert other["rewards"] == one["rewards"] - 1
        assert other["rewards"].dtype == np.float32
    assert plain.last_episodes() == shifted.last_episodes()


def test_the_mean_return_is_that_of_the_latest_twenty_also_after_a_position_is_found_again():
    interaction, returns = Interaction(Maze, [0]), []
    while len(returns) < 23:
        walk(interaction, 0.1)
        episode = interaction.last_episodes()[0]
        if episode and (not returns or episode["return"] != returns[-1]):
            returns.append(episode["return"])
    expected = pytest.approx(np.mean(returns[-20:]))
    assert interaction.last_episodes()[0]["return_mean20"] == expected
    other = Interaction(Maze, [0])
    other.load_state_arrays(0, interaction.state_arrays(0))
    assert other.last_episodes() == interaction.last_episodes()
    following = [walk(each, 1, 1, 1, 1, 1) and each.last_episodes() for each in (interaction, other)]
    assert following[0] == following[1]


def test_the_last_episode_is_summed_up():
    interaction = Interaction(Maze, [0])
    assert interaction.last_episodes() == [{}]
    steps = walk(interaction, 1, 1)
    total = sum(float(step["rewards"][0]) for step in steps)
    (episode,) = interaction.last_episodes()
    returns = {"return": pytest.approx(total), "return_mean20": pytest.approx(total)}
    assert episode == {**returns, "length": 2.0, "success": 1.0}
    walk(interaction, 0)
    assert interaction.last_episodes() == [episode]
    quiet = Interaction(Mute, [0])
    walk(quiet, 0, 0, 0, 0)
    assert set(quiet.last_episodes()[0]) == {"return", "return_mean20", "length"}


@pytest.mark.parametrize("before", [0, 1, 3, 4, 6])
def test_a_position_is_found_again_with_all_that_is_hidden(before):
    actions = [0.1, -0.2, 0.3, 0.0, 0.5, 0.25, 0.5, -0.5, 0.1, 0.2]
    whole, first, second = (Interaction(Maze, [3]) for _ in range(3))
    expected = walk(whole, *actions)
    walk(first, *actions[:before])
    saved = first.state_arrays(0)
    assert len(saved["actions"]) == before % 4
    second.load_state_arrays(0, saved)
    assert second.last_episodes() == first.last_episodes()
    found = walk(second, *actions[before:])
    for mine, theirs in zip(found, expected[before:], strict=True):
        for name in theirs:
            np.testing.assert_array_equal(mine[name], theirs[name])
    assert {k: v.tolist() for k, v in second.state_arrays(0).items()} == {
        k: v.tolist() for k, v in whole.state_arrays(0).items()
    }


def test_environments_are_closed():
    before = Maze.closed
    Interaction(Maze, [0, 1]).close()
    assert Maze.closed == before + 2
