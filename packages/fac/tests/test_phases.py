"""The phases of a run: sizes of the behaviour flow's phase, the density pass, stored flows, online steps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.transitions import Dataset
from offlow_core.jax.agent_phases import agent_phases
from offlow_core.jax.device_data import Sampler, to_device
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.seed_axis import one_seed, stack_seeds
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.option_checks import OptionError
from offlow_core.testing.comparisons import assert_identical
from offlow_core.testing.learner_battery import go_through
from offlow_core.testing.toy_task import make_dataset, make_task
from offlow_core.training.checkpoints import CheckpointFolder
from offlow_core.training.stopping import StoppedError, StopRequest
from offlow_fac.agents import make_agent, make_learner
from offlow_fac.behaviour_store import BehaviourStore, cache_folder
from offlow_fac.config import FacConfig, FacOptions, FqlConfig, FqlOptions
from offlow_fac.fac_phases import DensityPass, fac_phases, flow_batch_size, flow_steps

WIDTHS = dict.fromkeys(("actor_hidden_dims", "value_hidden_dims"), (8,))
FLOW = {"bc_hidden_dims": (8,), "flow_steps": 2}


def fac_options(agent: dict | None = None, **options) -> FacOptions:
    defaults = {"env_name": "push", "offline_steps": 3, "bc_steps": 4, "behaviour_flow_cache": "none"}
    return FacOptions(**defaults | options, agent=FacConfig(**WIDTHS | FLOW | {"batch_size": 8} | (agent or {})))


def fql_options(**options) -> FqlOptions:
    return FqlOptions(
        env_name="push", offline_steps=3, **options, agent=FqlConfig(**WIDTHS, flow_steps=2, batch_size=8)
    )


def agent_arrays(learner: JaxLearner, index: int = 0) -> dict[str, np.ndarray]:
    return to_arrays(one_seed(learner.state, index))


@pytest.mark.parametrize(
    ("transitions", "images", "batch", "steps"),
    [
        (1_000_000, False, 4096, 61_250),
        (2_000_000, False, 4096, 122_250),
        (202_000, False, 1024, 49_500),
        (5_000, False, 256, 5_000),
        (1_000_000, True, 256, 976_750),
        (99_999, False, 256, 391 * 250),
        (100_000, False, 1024, 98 * 250),
        (499_999, False, 1024, 489 * 250),
        (500_000, False, 4096, 123 * 250),
    ],
)
def test_published_lengths_of_the_first_phase(transitions, images, batch, steps):
    found = flow_batch_size(FacOptions(), transitions, images=images)
    assert found == batch
    assert flow_steps(FacOptions(), transitions, found) == steps
    assert flow_steps(FacOptions(bc_steps=7), transitions, found) == 7
    assert flow_steps(FacOptions(epoch_flow_proxy=1), transitions, found) == steps // 250


def phases_of(options: FacOptions | FqlOptions, dataset: Dataset | None = None) -> list:
    """The phases without a learner, which would initialise networks."""
    dataset = dataset or make_dataset()
    sampler = Sampler(frame_stack=options.frame_stack or 1, crop_probability=options.p_aug or 0.0)
    agent = make_agent(options.agent, dataset.train.observation_shape(sampler.frame_stack), 1)
    if isinstance(options, FqlOptions):
        task = make_task()
        return agent_phases(agent, options, task, rewards=task.rewards)
    return fac_phases(agent, options, dataset, make_task(), sampler)


def test_phases_are_numbered_so_that_the_algorithm_proper_starts_at_one():
    phases = phases_of(fac_options(online_steps=5))
    assert [(p.name, p.first_step, p.last_step, p.evaluates) for p in phases] == [
        ("behaviour_flow", -4, 0, False),
        ("actor_critic", 0, 3, True),
        ("online", 3, 8, True),
    ]
    assert [p.batch_size for p in phases] == [8, 8, 8]
    phases = phases_of(fql_options(online_steps=5))
    assert [(p.name, p.first_step, p.last_step) for p in phases] == [("offline", 0, 3), ("online", 3, 8)]


@pytest.mark.parametrize("method", ["exact", "hutch-rade"])
def test_the_density_pass_covers_every_transition(method):
    options = fac_options({"logp_method": method, "logp_hutch_probes": 3}, num_seeds=2)
    agent = make_agent(options.agent, (2,), 1)
    states = [jax.jit(agent.init)(jax.random.key(k)) for k in (0, 1)]
    data = make_dataset(22).train
    columns = DensityPass(agent, options, 1, 8)(stack_seeds(states), to_device(data), "train")  # 8 + 8 + 6
    found = np.asarray(columns["estimated_logp"])
    assert found.shape == (2, 22)
    np.testing.assert_array_equal(columns["estimated_logp_min"], np.repeat(found.min(1, keepdims=True), 22, 1))
    if method == "exact":
        whole = Sampler().gather(to_device(data), jnp.arange(22), {})
        for k in (0, 1):
            np.testing.assert_allclose(found[k], agent.log_density(states[k].behaviour, whole, None), rtol=1e-4)


def test_training_and_validation_densities_have_minima_and_noise_of_their_own():
    options = fac_options({"logp_method": "hutch-gaus", "logp_hutch_probes": 1})
    agent = make_agent(options.agent, (2,), 1)
    state, data = stack_seeds([jax.jit(agent.init)(jax.random.key(0))]), to_device(make_dataset().train)
    passes = DensityPass(agent, options, 1, 8)
    first, second = passes(state, data, "train"), passes(state, data, "validation")
    again = passes(state, data, "train")
    assert (first["estimated_logp"] != second["estimated_logp"]).any()
    np.testing.assert_array_equal(first["estimated_logp"], again["estimated_logp"])


def test_a_stop_ends_the_density_pass():
    options = fac_options()
    agent = make_agent(options.agent, (2,), 1)
    state, data = stack_seeds([jax.jit(agent.init)(jax.random.key(0))]), to_device(make_dataset().train)
    with StopRequest() as stop:
        stop.request("SIGTERM")
        with pytest.raises(StoppedError, match="SIGTERM"):
            DensityPass(agent, options, 1, 8)(state, data, "train")


def test_no_penalty_no_density_pass():
    for agent in ({"use_cp": False}, {"fac_alpha": 0.0}):
        assert phases_of(fac_options(agent))[1].prepare is None
    assert phases_of(fac_options())[1].prepare is not None


# Stored behaviour flows


def store_of(dataset: Dataset | None = None, agent: dict | None = None, **options) -> BehaviourStore:
    options = fac_options(agent, **{"behaviour_flow_cache": "somewhere"} | options)
    return phases_of(options, dataset)[0].store


@pytest.mark.parametrize(
    "change",
    [
        {"agent": {"bc_hidden_dims": (8, 8)}},
        {"agent": {"bc_layer_norm": True}},
        {"agent": {"lr_bc": 1e-3}},
        {"agent": {"batch_size": 16}},
        {"bc_steps": 5},
        {"bc_steps": None},
        {"frame_stack": 2},
        {"num_seeds": 2},
    ],
    ids=str,
)
def test_everything_that_shapes_a_flow_is_in_its_key(change):
    assert store_of(**change).path(0) != store_of().path(0)


@pytest.mark.parametrize(
    "change",
    [
        {"agent": {"lr": 1e-3, "fac_alpha": 3.0, "value_hidden_dims": (9,), "q_agg": "mean"}},
        {"offline_steps": 50, "online_steps": 5, "log_interval": 7, "epoch_flow_proxy": 3},
    ],
    ids=str,
)
def test_what_only_shapes_the_rest_is_not(change):
    assert store_of(**change).path(0) == store_of().path(0)


def test_data_encoder_augmentation_and_seed_are_in_the_key():
    base = store_of()
    assert base.path(1) != base.path(0)
    assert store_of(make_dataset(seed=5)).path(0) != base.path(0)
    images = make_dataset(shape=(8, 8, 1))
    small, debug, cropped = (
        store_of(images, agent={"encoder": name}, p_aug=p_aug)
        for name, p_aug in (("impala_small", None), ("impala_debug", None), ("impala_debug", 0.5))
    )
    assert len({small.path(0), debug.path(0), cropped.path(0)}) == 3
    assert set(base.settings["versions"]) == {"jax", "jaxlib", "offlow-core", "offlow-fac", "optax"}


def test_where_flows_are_kept(tmp_path, monkeypatch):
    assert cache_folder("none") is None
    assert str(cache_folder("some/where")) == "some/where"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("auto") == tmp_path / "offlow" / "behaviour_flows"


@pytest.fixture
def stored(tmp_path):
    """Options with a cache, and what a run that filled it arrived at."""
    options = fac_options(behaviour_flow_cache=str(tmp_path / "flows"))
    return options, agent_arrays(go_through(make_learner(options, make_dataset(), make_task())))


def test_a_run_on_a_stored_flow_equals_one_that_trained_it(stored, tmp_path):
    options, fresh = stored
    again = make_learner(options, make_dataset(), make_task())
    assert not again.enter(again.phases[0])
    assert_identical(agent_arrays(go_through(again)), fresh)
    without = fac_options(behaviour_flow_cache="none")
    assert_identical(agent_arrays(go_through(make_learner(without, make_dataset(), make_task()))), fresh)
    (folder,) = (tmp_path / "flows").iterdir()
    meta = CheckpointFolder(folder).latest().meta
    assert (meta["seed"], meta["steps"], meta["hidden_dims"]) == (0, 4, [8])


def test_a_damaged_stored_flow_is_trained_again(stored, tmp_path):
    options, fresh = stored
    (path,) = (tmp_path / "flows").glob("*/*.npz")
    whole = path.read_bytes()
    again = make_learner(options, make_dataset(), make_task())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for damaged in (b"", flipped, whole[:-200]):
        path.write_bytes(damaged)
        assert again.phases[0].store.load(one_seed(again.state, 0), 0) is None
    assert_identical(agent_arrays(go_through(again)), fresh)
    assert path.read_bytes() == whole


# Online steps


@pytest.mark.parametrize(
    ("make_options", "balanced"),
    [
        pytest.param(fac_options, True, id="fac, balanced"),
        pytest.param(fql_options, False, id="fql"),
        pytest.param(fac_options, False, id="fac", marks=pytest.mark.slow),
        pytest.param(fql_options, True, id="fql, balanced", marks=pytest.mark.slow),
    ],
)
def test_online_steps(make_options, balanced):
    options = make_options(online_steps=6, balanced_sampling=balanced)
    learner = make_learner(options, make_dataset(), make_task())
    seen = []
    online = learner.phases[-1]

    def spy(state, batch, key):
        seen.append({name: values.shape for name, values in batch.items()})
        return online.update(state, batch, key)

    learner.phases = (*learner.phases[:-1], dataclasses.replace(online, update=spy))
    before = agent_arrays(learner)
    go_through(learner)
    # Densities of the dataset belong to the offline flow: online batches have none.
    assert set(seen[0]) == {"observations", "actions", "rewards", "masks", "next_observations"}
    assert {shape[0] for shape in seen[0].values()} == {8}
    metrics = learner.metrics()[0]
    assert all(np.isfinite(value) for value in metrics.values())
    assert ("bc/bc_flow_loss" in metrics) == (make_options is fac_options)
    assert "online/episode_return" in metrics
    assert learner.state_arrays(0)["stage/online/replay/rewards"].shape == (6,)
    assert any((before[name] != value).any() for name, value in agent_arrays(learner).items() if "flow" in name)


def test_the_behaviour_flow_goes_on_online_with_its_own_optimizer():
    options = fac_options(online_steps=6)
    learner = go_through(make_learner(options, make_dataset(), make_task()))
    arrays = agent_arrays(learner)
    assert arrays["behaviour_optimizer/0/count"] == 4 + 6
    assert arrays["optimizer/0/count"] == 3 + 6


# Images


@pytest.mark.slow
@pytest.mark.parametrize("make", [FacConfig, FqlConfig])
def test_images_train_through_all_phases(make):
    flow = FLOW if make is FacConfig else {"flow_steps": 2}
    agent = make(**WIDTHS, **flow, batch_size=4, encoder="impala_debug")
    extra = {"bc_steps": 2, "behaviour_flow_cache": "none"} if make is FacConfig else {}
    options_type = FacOptions if make is FacConfig else FqlOptions
    options = options_type(env_name="push", offline_steps=2, p_aug=0.5, frame_stack=3, agent=agent, **extra)
    learner = make_learner(options, make_dataset(shape=(8, 8, 1)), make_task())
    before = agent_arrays(learner)
    assert before["params/critic/encoder/stack_blocks_0/Conv_0/kernel"].shape == (3, 3, 3, 4)
    go_through(learner)
    after = agent_arrays(learner)
    moved = {name for name, value in after.items() if "encoder" in name and (before[name] != value).any()}
    for role in ("critic", "actor_onestep", "target_critic", "bc_flow_encoder"):
        assert any(role in name for name in moved), role
    assert all(np.isfinite(value) for value in learner.metrics()[0].values())


def test_densities_of_images_are_of_whole_stacked_frames():
    options = fac_options({"encoder": "impala_debug", "batch_size": 4}, frame_stack=3, p_aug=1.0)
    agent = make_agent(options.agent, (8, 8, 3), 1)
    data = make_dataset(11, shape=(8, 8, 1)).train
    state = jax.jit(agent.init)(jax.random.key(0))
    columns = DensityPass(agent, options, 3, 4)(stack_seeds([state]), to_device(data), "train")
    batch = data.gather(np.arange(11), frame_stack=3)
    np.testing.assert_allclose(
        columns["estimated_logp"][0], agent.log_density(state.behaviour, batch, None), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("shape", "encoder", "message"),
    [
        (
            (2,),
            "impala_small",
            r"observations of shape \(2,\) do not fit encoder=impala_small; leave --agent.encoder out",
        ),
        ((8, 8, 1), None, "do not fit encoder=None; set --agent.encoder"),
    ],
)
def test_an_encoder_must_fit_the_observations(shape, encoder, message):
    with pytest.raises(OptionError, match=message):
        make_learner(fac_options({"encoder": encoder}), make_dataset(shape=shape), make_task())


def test_cropping_needs_images():
    with pytest.raises(OptionError, match="p_aug"):
        make_learner(fac_options(p_aug=0.5), make_dataset(), make_task())


def test_online_steps_admit_no_stacking():
    with pytest.raises(OptionError, match="online_steps must be 0 with frame_stack"):
        fac_options(online_steps=3, frame_stack=3)
