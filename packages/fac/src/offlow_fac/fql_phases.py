"""The one offline phase of an FQL run: flow, actor and critic are trained jointly."""

from offlow_core.jax.device_data import Batch
from offlow_core.jax.learner import OfflinePhase
from offlow_core.jax.networks import Array
from offlow_core.jax.updates import Metrics, Report
from offlow_fac.config import FqlOptions
from offlow_fac.fql import Fql, FqlState, fql_metrics
from offlow_fac.fql_losses import joint_loss


def fql_phases(agent: Fql, options: FqlOptions) -> list[OfflinePhase]:
    """Steps 1 to `offline_steps` on the dataset."""
    batch_size = agent.config.batch_size

    def update(state: FqlState, batch: Batch, key: Array) -> tuple[FqlState, Report]:
        return agent.update(state, batch, agent.draw_noise(key, batch_size))

    def validate(state: FqlState, batch: Batch, key: Array) -> Metrics:
        noise = agent.draw_noise(key, batch_size)
        _, parts = joint_loss(state.params, state.target_critic, batch, noise, agent.config, agent.encoder)
        return fql_metrics(parts)

    phase = OfflinePhase(
        "offline",
        first_step=0,
        steps=options.offline_steps,
        batch_size=batch_size,
        update=update,
        validate=validate,
    )
    return [phase]
