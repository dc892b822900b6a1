"""The phases of a FAC run: behaviour flow, densities of the dataset, actor-critic."""

import hashlib
import inspect
import math
from importlib.metadata import version
from types import ModuleType

import jax
import jax.numpy as jnp
from tqdm import tqdm

from offlow_core.data.transitions import Dataset
from offlow_core.jax import device_data, encoders, flows, networks, updates
from offlow_core.jax.device_data import Batch, DeviceTransitions, Sampler
from offlow_core.jax.networks import Array
from offlow_core.jax.online import OnlinePhase
from offlow_core.jax.phases import Columns, OfflinePhase, Validation
from offlow_core.jax.seed_axis import over_seeds
from offlow_core.jax.streams import stream_keys
from offlow_core.jax.updates import Metrics, Report, Update
from offlow_core.suites.task import Task
from offlow_core.training.stopping import leave_if_stopped
from offlow_fac import fac, fac_losses
from offlow_fac.behaviour_store import BehaviourStore, cache_folder
from offlow_fac.config import FacOptions
from offlow_fac.fac import Fac, FacState, actor_critic_metrics
from offlow_fac.fac_losses import Frozen, actor_critic_loss, behaviour_flow_loss, penalises


def flow_batch_size(options: FacOptions, transitions: int, *, images: bool) -> int:
    """Batch of the behaviour flow: 1, 4 or 16 times the agent's, by dataset size; the agent's own for images."""
    if images or transitions < 100_000:
        return options.agent.batch_size
    return options.agent.batch_size * (4 if transitions < 500_000 else 16)


def flow_steps(options: FacOptions, transitions: int, batch_size: int) -> int:
    """Updates of the behaviour flow: `epoch_flow_proxy` times as many as one pass over the data would take."""
    if options.bc_steps is not None:
        return options.bc_steps
    return options.epoch_flow_proxy * math.ceil(transitions / batch_size)


def fac_phases(
    agent: Fac, options: FacOptions, dataset: Dataset, task: Task, sampler: Sampler
) -> list[OfflinePhase | OnlinePhase]:
    """Phase 1 ends at step 0; the density pass (phase 2) happens on entering phase 3; then online steps, if any."""
    transitions = len(dataset.train)
    batch_size = flow_batch_size(options, transitions, images=agent.encoder is not None)
    steps = flow_steps(options, transitions, batch_size)
    behaviour = OfflinePhase(
        "behaviour_flow",
        first_step=-steps,
        steps=steps,
        evaluates=False,
        batch_size=batch_size,
        update=_behaviour_update(agent, batch_size),
        validate=_behaviour_validation(agent, batch_size),
        store=_behaviour_store(agent, options, dataset, sampler, batch_size, steps),
    )
    actor_critic = OfflinePhase(
        "actor_critic",
        first_step=0,
        steps=options.offline_steps,
        batch_size=options.agent.batch_size,
        update=_actor_critic_update(agent),
        prepare=DensityPass(agent, options, sampler.frame_stack, batch_size) if penalises(options.agent) else None,
        validate=_actor_critic_validation(agent),
    )
    online = OnlinePhase(
        "online",
        first_step=options.offline_steps,
        steps=options.online_steps,
        update=_online_update(agent),
        batch_size=options.agent.batch_size,
        make_environment=task.make_environment,
        rewards=task.rewards,
        buffer_size=options.buffer_size,
        balanced=options.balanced_sampling,
    )
    return [behaviour, actor_critic, online]


class DensityPass:
    """log beta(a | s) of every transition under the finished flow, once, and their minimum (phase 2).

    Images are stacked but not augmented. The chunks have one shape, so one program serves them all.
    """

    def __init__(self, agent: Fac, options: FacOptions, frame_stack: int, chunk: int):
        self._seeds = range(options.seed, options.seed + options.num_seeds)
        self._sampler = Sampler(frame_stack=frame_stack)
        self._chunk = chunk

        def densities(state: FacState, key: Array, data: DeviceTransitions, first: Array) -> Array:
            indices = jnp.minimum(first + jnp.arange(chunk), data.size - 1)
            batch = self._sampler.gather(data, indices, {})
            return agent.log_density(state.behaviour, batch, agent.draw_probes(jax.random.fold_in(key, first), chunk))

        self._densities = jax.jit(over_seeds(densities, options.num_seeds, shared=2))

    def __call__(self, state: FacState, data: DeviceTransitions, name: str) -> Columns:
        keys = stream_keys(self._seeds, f"densities/{name}")
        starts = tqdm(range(0, len(data.rows), self._chunk), f"log-densities ({name})", leave=False, disable=None)
        parts = []
        for first in starts:
            leave_if_stopped()
            parts.append(jax.block_until_ready(self._densities(state, keys, data, first)))
        values = jnp.concatenate(parts, axis=1)[:, : len(data.rows)]
        least = jnp.broadcast_to(jnp.nanmin(values, axis=1, keepdims=True), values.shape)
        return {"estimated_logp": values, "estimated_logp_min": least}


def _behaviour_update(agent: Fac, batch_size: int) -> Update:
    def update(state: FacState, batch: Batch, key: Array) -> tuple[FacState, Report]:
        return agent.update_behaviour_flow(state, batch, agent.draw_flow_noise(key, batch_size))

    return update


def _behaviour_validation(agent: Fac, batch_size: int) -> Validation:
    def validate(state: FacState, batch: Batch, key: Array) -> Metrics:
        noise = agent.draw_flow_noise(key, batch_size)
        return {"bc/bc_flow_loss": behaviour_flow_loss(state.behaviour, agent.encoder, batch, noise)[0]}

    return validate


def _actor_critic_update(agent: Fac) -> Update:
    def update(state: FacState, batch: Batch, key: Array) -> tuple[FacState, Report]:
        return agent.update_actor_critic(state, batch, agent.draw_actor_critic_noise(key, agent.config.batch_size))

    return update


def _online_update(agent: Fac) -> Update:
    batch_size = agent.config.batch_size

    def update(state: FacState, batch: Batch, key: Array) -> tuple[FacState, Report]:
        flow_key, key = jax.random.split(key)
        flow_noise = agent.draw_flow_noise(flow_key, batch_size)
        return agent.update_online(
            state, batch, flow_noise, agent.draw_actor_critic_noise(key, batch_size, online=True)
        )

    return update


def _actor_critic_validation(agent: Fac) -> Validation:
    def validate(state: FacState, batch: Batch, key: Array) -> Metrics:
        noise = agent.draw_actor_critic_noise(key, agent.config.batch_size)
        frozen = Frozen(state.target_critic, state.behaviour)
        _, parts = actor_critic_loss(state.params, frozen, batch, noise, agent.config, agent.encoder)
        return actor_critic_metrics(parts)

    return validate


def _digest(*modules: ModuleType) -> str:
    """Changes with the source of the modules, as their versions do not while somebody works on them."""
    return hashlib.sha256("".join(map(inspect.getsource, modules)).encode()).hexdigest()


def _behaviour_store(
    agent: Fac, options: FacOptions, dataset: Dataset, sampler: Sampler, batch_size: int, steps: int
) -> BehaviourStore | None:
    folder = cache_folder(options.behaviour_flow_cache)
    if folder is None:
        return None
    config = agent.config
    shaping = {
        "dataset": dataset.train.checksum(),
        "hidden_dims": config.bc_hidden_dims,
        "layer_norm": config.bc_layer_norm,
        "lr": config.lr_bc,
        "encoder": config.encoder,
        "batch_size": batch_size,
        "steps": steps,
        "frame_stack": sampler.frame_stack,
        "crop_probability": sampler.crop_probability,
        # Seeds trained side by side round differently from one trained alone.
        "side_by_side": options.num_seeds,
        "backend": jax.default_backend(),
        "code": _digest(device_data, encoders, fac, fac_losses, flows, networks, updates),
        "versions": {name: version(name) for name in ("offlow-fac", "offlow-core", "jax", "jaxlib", "optax")},
    }
    return BehaviourStore(folder, shaping)
