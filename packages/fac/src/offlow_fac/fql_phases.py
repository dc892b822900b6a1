"""The phases of an FQL run: flow, actor and critic are trained jointly, offline and online alike."""

from offlow_core.jax.device_data import Batch
from offlow_core.jax.networks import Array
from offlow_core.jax.online import OnlinePhase
from offlow_core.jax.phases import OfflinePhase
from offlow_core.jax.updates import Metrics, Report
from offlow_core.suites.task import Task
from offlow_fac.config import FqlOptions
from offlow_fac.fql import Fql, FqlState, fql_metrics
from offlow_fac.fql_losses import joint_loss


def fql_phases(agent: Fql, options: FqlOptions, task: Task) -> list[OfflinePhase | OnlinePhase]:
    """Updates on the dataset, then the same updates between environment steps, if any."""
    batch_size = agent.config.batch_size

    def update(state: FqlState, batch: Batch, key: Array) -> tuple[FqlState, Report]:
        return agent.update(state, batch, agent.draw_noise(key, batch_size))

    def validate(state: FqlState, batch: Batch, key: Array) -> Metrics:
        noise = agent.draw_noise(key, batch_size)
        _, parts = joint_loss(state.params, state.target_critic, batch, noise, agent.config, agent.encoder)
        return fql_metrics(parts)

    offline = OfflinePhase("offline", 0, options.offline_steps, update=update, batch_size=batch_size, validate=validate)
    online = OnlinePhase(
        "online",
        first_step=options.offline_steps,
        steps=options.online_steps,
        update=update,
        batch_size=batch_size,
        make_environment=task.make_environment,
        reward_shift=task.reward_shift,
        buffer_size=options.buffer_size,
        balanced=options.balanced_sampling,
    )
    return [offline, online]
