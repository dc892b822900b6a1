"""The phases of agents that have one kind of update, offline and online alike."""

from typing import Any, Protocol

from offlow_core.data.reward_rules import RewardMap
from offlow_core.jax.batch_orders import BatchOrder
from offlow_core.jax.device_data import Batch
from offlow_core.jax.networks import Array
from offlow_core.jax.online import OnlinePhase
from offlow_core.jax.phases import OfflinePhase
from offlow_core.jax.updates import UNIFORM, Metrics, Report
from offlow_core.suites.task import Task
from offlow_core.training.options import BalancedOptions


class UpdatedAgent(Protocol):
    """What the phases need of an agent; `config` has a batch_size, `noise` holds all random draws of one update."""

    @property
    def config(self) -> Any:
        """The agent's configuration."""
        ...

    def draw_noise(self, key: Array, batch_size: int) -> Any:
        """Fresh draws for `update`."""
        ...

    def update(self, state: Any, batch: Batch, noise: Any) -> tuple[Any, Report]:
        """One update, and what to log of it."""
        ...

    def loss_metrics(self, state: Any, batch: Batch, noise: Any) -> Metrics:
        """The losses of a batch, without an update."""
        ...


def agent_phases(
    agent: UpdatedAgent, options: BalancedOptions, task: Task, *, rewards: RewardMap, order: BatchOrder = UNIFORM
) -> list[OfflinePhase | OnlinePhase]:
    """Updates on the dataset in batches of this order, then the same updates between environment steps, if any.

    `rewards` makes the environment's rewards into those that the agent is trained on.
    """
    batch_size = agent.config.batch_size

    def update(state: Any, batch: Batch, key: Array) -> tuple[Any, Report]:
        return agent.update(state, batch, agent.draw_noise(key, batch_size))

    def validate(state: Any, batch: Batch, key: Array) -> Metrics:
        return agent.loss_metrics(state, batch, agent.draw_noise(key, batch_size))

    offline = OfflinePhase(
        "offline", 0, options.offline_steps, update=update, batch_size=batch_size, validate=validate, order=order
    )
    online = OnlinePhase(
        "online",
        first_step=options.offline_steps,
        steps=options.online_steps,
        update=update,
        batch_size=batch_size,
        make_environment=task.make_environment,
        buffer_size=options.buffer_size,
        balanced=options.balanced_sampling,
        rewards=rewards,
    )
    return [offline, online]
