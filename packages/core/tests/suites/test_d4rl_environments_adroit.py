"""Adroit: rewards, ends and successes as in D4RL, checked against its references and an expert policy."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from offlow_core.suites.d4rl_environments import adroit, make_environment, semantics
from offlow_core.suites.d4rl_environments.adroit import EpisodeSuccess
from offlow_core.suites.mujoco_repairs import RepairError

FILES = Path(__file__).parent / "files"


def make(family: str, legacy_contact_margin: bool = True) -> gymnasium.Env:
    return make_environment(family, 1, legacy_contact_margin=legacy_contact_margin)


def play(env: gymnasium.Env, policy, episodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns and successes of whole episodes."""
    returns, successes = np.zeros(episodes), np.zeros(episodes)
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        over = False
        while not over:
            observation, reward, terminated, truncated, info = env.step(policy(observation))
            returns[episode] += reward
            over = terminated or truncated
        successes[episode] = info["success"]
    return returns, successes


def random_returns(family: str, episodes: int) -> np.ndarray:
    env, generator = make(family), np.random.default_rng(0)
    return play(env, lambda _: generator.uniform(-1, 1, env.action_space.shape), episodes)[0]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b))


def door_reward(data) -> float:
    opened = data.joint("door_hinge").qpos[0]
    reward = -0.1 * distance(data.site("S_grasp").xpos, data.site("S_handle").xpos)
    reward -= 0.1 * (opened - 1.57) ** 2 + 1e-5 * np.sum(data.qvel**2)
    return reward + 2 * (opened > 0.2) + 8 * (opened > 1.0) + 10 * (opened > 1.35)


def hammer_reward(data) -> float:
    hammer, head, nail = data.body("Object").xpos, data.site("tool").xpos, data.site("S_target").xpos
    depth = distance(nail, data.site("nail_goal").xpos)
    reward = -0.1 * distance(data.site("S_grasp").xpos, hammer) - distance(head, nail) - 10 * depth
    reward -= 1e-2 * np.linalg.norm(data.qvel)
    lifted = hammer[2] > 0.04 and head[2] > 0.04
    return reward + 2 * lifted + 25 * (depth < 0.02) + 75 * (depth < 0.01)


def relocate_reward(data) -> float:
    palm, ball, target = data.site("S_grasp").xpos, data.body("Object").xpos, data.site("target").xpos
    reward = -0.1 * distance(palm, ball)
    if ball[2] > 0.04:
        reward += 1 - 0.5 * distance(palm, target) - 0.5 * distance(ball, target)
    return reward + 10 * (distance(ball, target) < 0.1) + 20 * (distance(ball, target) < 0.05)


def open_door(env) -> None:
    env.data.joint("door_hinge").qpos = 1.4


def hammer_in(env) -> None:
    env.data.joint("nail_dir").qpos = 0.09
    env.data.joint("OBJTz").qpos += 0.2


def carry_to_target(env) -> None:
    offset = env.data.site("target").xpos - env.data.body("Object").xpos
    for axis, amount in zip("xyz", offset, strict=True):
        env.data.joint(f"OBJT{axis}").qpos += amount


@pytest.mark.parametrize(
    ("family", "reward_of", "solve", "bonus"),
    [
        ("door", door_reward, open_door, 15),
        ("hammer", hammer_reward, hammer_in, 90),
        ("relocate", relocate_reward, carry_to_target, 25),
    ],
)
def test_rewards_are_those_of_d4rl(family, reward_of, solve, bonus):
    env, generator = make(family), np.random.default_rng(3)
    env.reset(seed=0)
    rewards = []
    for step in range(30):
        if step == 10:
            solve(env.unwrapped)
        reward = env.step(generator.uniform(-1, 1, env.action_space.shape))[1]
        assert reward == pytest.approx(reward_of(env.unwrapped.data), abs=1e-9)
        rewards.append(reward)
    assert max(rewards[:10]) < 0
    assert max(rewards[10:]) > bonus


@pytest.mark.parametrize("family", ["door", "hammer", "relocate"])
def test_the_librarys_reward_is_measured_and_recorded(family):
    weights = semantics(family, 1, legacy_contact_margin=True)["reach_weight"]
    assert abs(weights["library"]) == 0.1
    assert weights["in force"] == -0.1


def test_a_reward_that_cannot_be_restored_is_refused(monkeypatch):
    class Cheaper(gymnasium.RewardWrapper):
        def reward(self, reward):
            return 0.5 * reward

        def __getattr__(self, name):
            return getattr(self.env, name)

    library = adroit._library_environment
    monkeypatch.setattr(adroit, "_library_environment", lambda *arguments: Cheaper(library(*arguments)))
    with pytest.raises(RepairError, match=r"reward of door by 0.1 or -0.1, but it is 0.05"):
        adroit.library_reach_weight.__wrapped__("door")


def test_a_dropped_pen_ends_the_episode():
    env = make("pen")
    env.reset(seed=0)
    hold = np.zeros(24, np.float32)
    assert env.step(hold)[2] is False
    data = env.unwrapped.data
    data.joint("OBJTx").qpos += 0.15  # this axis points down: the pen is below the hand and falls
    heights, ends = [], []
    for _ in range(30):
        _, reward, terminated, _, _ = env.step(hold)
        heights.append(data.body("Object").xpos[2])
        ends.append(terminated)
    assert heights[0] > 0.09
    assert heights[-1] < 0.06
    assert ends == [height < 0.075 for height in heights]
    assert reward < -4  # the penalty of 5 is in the reward
    assert semantics("pen", 1, legacy_contact_margin=True)["ends_when_dropped"] is True


class Scripted(gymnasium.Env):
    """Successes as told, one a step."""

    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, successes):
        self._successes = successes

    def reset(self, *, seed=None, options=None):
        self._left = iter(self._successes)
        return np.zeros(1), {}

    def step(self, action):
        return np.zeros(1), 0, False, False, {"success": np.bool_(next(self._left))}


def test_an_episode_succeeds_with_more_successful_steps_than_required():
    env = EpisodeSuccess(Scripted([True, False, True, True, False]), steps=2)
    for _ in range(2):  # counting starts again with each episode
        env.reset()
        told = [env.step(None)[4] for _ in range(5)]
        assert [info["success"] for info in told] == [0.0, 0.0, 0.0, 1.0, 1.0]
        assert [info["successful_steps"] for info in told] == [1, 1, 2, 3, 3]


def test_26_successful_steps_open_a_door():
    env = make("door")
    env.reset(seed=0)
    successes = []
    for _ in range(27):
        open_door(env.unwrapped)
        successes.append(env.step(np.zeros(28, np.float32))[4]["success"])
    assert successes == [0.0] * 25 + [1.0, 1.0]


def test_21_successful_steps_place_a_pen():
    env = make("pen")
    env.reset(seed=0)
    # The pen lies along the x axis; an unturned target would stand upright.
    start = env.unwrapped.get_env_state() | {"desired_orien": np.sqrt([0.5, 0.0, 0.5, 0.0])}
    successes = []
    for _ in range(22):
        env.unwrapped.set_env_state(start)
        successes.append(env.step(np.zeros(24, np.float32))[4]["success"])
    assert successes == [0.0] * 20 + [1.0, 1.0]


@pytest.mark.parametrize(("family", "reference", "tolerance"), [("door", -56.5, 1), ("hammer", -274.9, 5)])
def test_a_random_policy_returns_d4rls_lower_reference(family, reference, tolerance):
    assert random_returns(family, 20).mean() == pytest.approx(reference, abs=tolerance)


def test_a_random_policy_loses_in_relocate():
    """D4RL's lower reference is -6.4; with the library's own sign it would win 9.9."""
    assert -10 < random_returns("relocate", 20).mean() < 0


@pytest.mark.slow
def test_a_random_policy_and_a_pen():
    """100 episodes gave 143 +- 38 where D4RL's lower reference is 96.3."""
    assert random_returns("pen", 100).mean() == pytest.approx(120, abs=100)


def expert():
    """The noisy door policy of DAPG, by which D4RL's expert data and upper reference were made."""
    weights, generator = np.load(FILES / "dapg-door-policy.npz"), np.random.default_rng(0)
    (w0, b0), (w1, b1), (w2, b2) = (
        (weights[f"{layer}_weight"], weights[f"{layer}_bias"]) for layer in ("fc0", "fc1", "last_fc")
    )
    deviation = np.exp(weights["log_std"])

    def act(observation: np.ndarray) -> np.ndarray:
        mean = w2 @ np.tanh(w1 @ np.tanh(w0 @ observation + b0) + b1) + b2
        return np.clip(mean + deviation * generator.standard_normal(28), -1, 1)

    return act


def test_an_expert_opens_doors():
    returns, successes = play(make("door"), expert(), 20)
    assert returns.mean() > 2300
    assert successes.mean() >= 0.8


@pytest.mark.slow
def test_an_expert_scores_d4rls_upper_reference():
    """Which is 2880.6; 100 episodes gave 2890 +- 51 and 96% successes."""
    returns, successes = play(make("door"), expert(), 100)
    assert returns.mean() == pytest.approx(2880.6, abs=150)
    assert successes.mean() >= 0.9


def replayed(legacy_contact_margin: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rewards and observations under the recorded actions from the recorded start, and the recording."""
    recorded, env = np.load(FILES / "dapg-door-episode.npz"), make("door", legacy_contact_margin)
    env.reset(seed=0)
    start = {name: recorded[name].astype(np.float64) for name in ("qpos", "qvel", "door_body_pos")}
    env.unwrapped.set_env_state(start)
    steps = [env.step(action)[:2] for action in recorded["actions"]]
    observations = np.array([observation for observation, _ in steps])
    return np.array([reward for _, reward in steps]), observations, recorded


def test_a_recorded_episode_is_repeated():
    """Recorded with MuJoCo 4.0 and restored margins: float32 in the file is all that differs."""
    rewards, observations, recorded = replayed(legacy_contact_margin=True)
    np.testing.assert_allclose(rewards, recorded["rewards"], atol=1e-4)
    np.testing.assert_allclose(observations[:-1], recorded["observations"][1:], atol=1e-3)
    assert rewards.sum() == pytest.approx(3030.16, abs=0.01)


def test_with_the_margins_of_today_it_is_another_episode():
    rewards, _, recorded = replayed(legacy_contact_margin=False)
    assert np.abs(rewards - recorded["rewards"]).max() > 1
