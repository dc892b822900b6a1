"""The learner's verbs on a toy agent: what training depends on, and what it does not."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from offlow_core.data.transitions import Dataset
from offlow_core.evaluation.noise import normal_rows
from offlow_core.option_checks import OptionError
from offlow_core.torch.activations import mish
from offlow_core.torch.device_data import Sampler, to_device
from offlow_core.torch.host_reads import HostReadError, no_host_reads
from offlow_core.torch.learner import TorchLearner
from offlow_core.torch.networks import Mlp, init_uniform
from offlow_core.torch.optimizers import ClippedAdam, move_towards
from offlow_core.torch.streams import make_generator
from offlow_core.training.learner import Phase

CPU = torch.device("cpu")
BATCH = 4
FIRST, SECOND = Phase("first", 0, 6), Phase("second", 6, 6)


class Toy:
    """A perceptron that imitates noisy actions, and its average, which moves at every third update."""

    metric_names = ("toy/loss", "grad/norm")

    def __init__(self, seed: int, device: torch.device = CPU, width: int = 8):
        self.network = Mlp(3, (width,), 2, mish)
        init_uniform(self.network, make_generator(seed, "init", CPU))
        self.network.to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self._adam = ClippedAdam(list(self.network.parameters()), 1e-2, 1.0)
        self.prepared: list[int] = []

    def prepare(self, updates: int) -> bool:
        self.prepared.append(updates)
        self._adam.set_lr(1e-2 / (1 + updates))
        return updates % 3 == 0

    def draw_noise(self, generator: torch.Generator) -> Tensor:
        return 0.1 * torch.randn(BATCH, 2, generator=generator, device=generator.device)

    def update(self, batch: dict[str, Tensor], noise: Tensor, moves_average: bool) -> dict[str, Tensor]:
        loss = self._loss(batch, noise)
        norm = self._adam.step(torch.autograd.grad(loss, list(self.network.parameters())))
        if moves_average:
            move_towards(self.average, self.network, 0.1)
        return {"grad/norm": norm, "toy/loss": loss.detach(), "toy/unnamed": noise.mean()}

    @torch.no_grad()
    def losses(self, batch: dict[str, Tensor], noise: Tensor) -> dict[str, Tensor]:
        return {"toy/loss": self._loss(batch, noise), "toy/reward": batch["rewards"].mean()}

    def _loss(self, batch: dict[str, Tensor], noise: Tensor) -> Tensor:
        return (self.network(batch["observations"] / 255) + noise - batch["actions"]).square().mean()

    def state(self) -> dict[str, Tensor]:
        parts = {"network": self.network.state_dict(), "average": self.average.state_dict(), "adam": self._adam.state()}
        return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def policy(self):
        network = copy.deepcopy(self.network)

        @torch.no_grad()
        def act(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
            return network(torch.from_numpy(observations)).numpy() + normal_rows(noise_seeds, (2,))

        return act


class ReadingToy(Toy):
    """Looks at its loss at every update."""

    def update(self, batch: dict[str, Tensor], noise: Tensor, moves_average: bool) -> dict[str, Tensor]:
        metrics = super().update(batch, noise, moves_average)
        assert metrics["toy/loss"].item() >= 0
        return metrics


def make_learner(data, seeds=(0,), *, kind=Toy, validation=None, device=CPU, record=False, **options) -> TorchLearner:
    agents = [kind(seed, device, **options) for seed in seeds]
    dataset = Dataset(data, validation, {})
    return TorchLearner(
        agents, seeds, [FIRST, SECOND], dataset, Sampler(), batch_size=BATCH, device=device, record=record
    )


def everything(learner: TorchLearner) -> list[dict[str, list]]:
    """All that two learners that did the same must have in common, to the last bit."""
    states = [learner.state_arrays(i) for i in range(len(learner.seeds))]
    return [{name: array.tolist() for name, array in arrays.items()} for arrays in states] + learner.metrics()


@pytest.mark.parametrize("cuts", [(1,) * 7, (3, 4), (1, 5, 1)])
def test_how_advances_are_cut_changes_nothing(states, cuts):
    whole, parts = make_learner(states), make_learner(states)
    whole.advance(0, 7)
    for step, cut in zip(np.cumsum((0, *cuts)).tolist(), cuts, strict=False):
        parts.advance(step, cut)
    assert everything(parts) == everything(whole)
    assert parts.interval_means() == whole.interval_means()


def test_an_agent_is_told_the_updates_made_so_far(states):
    agent = Toy(0)
    TorchLearner(
        [agent], [0], [FIRST], Dataset(states, None, {}), Sampler(), batch_size=BATCH, device=CPU, record=False
    ).advance(4, 3)
    assert agent.prepared == [4, 5, 6]


@pytest.mark.parametrize("seed", [0, 5])
def test_batches_and_noise_come_from_streams_of_their_own(states, seed):
    streams = {name: make_generator(seed, name, CPU) for name in ("data", "noise")}
    agent, learner = Toy(seed), make_learner(states, (seed,))
    for step in range(3):
        batch = Sampler().sample(to_device(states, CPU), streams["data"], BATCH)
        metrics = agent.update(batch, agent.draw_noise(streams["noise"]), agent.prepare(step))
        learner.advance(step, 1)
        assert learner.metrics() == [{name: metrics[name].item() for name in Toy.metric_names}]


@pytest.mark.parametrize("interrupted_at", [0, 4, 8])
def test_a_loaded_learner_goes_on_as_if_nothing_had_happened(states, interrupted_at):
    whole, again = make_learner(states, (0, 5)), make_learner(states, (3, 4))
    again.advance(0, 2)  # leaves traces that loading has to remove
    whole.enter(FIRST if interrupted_at <= FIRST.last_step else SECOND)
    whole.advance(0, interrupted_at)
    again.load_state_arrays([whole.state_arrays(i) for i in range(2)])
    for learner in (whole, again):
        learner.enter(SECOND)
        learner.advance(interrupted_at, 10 - interrupted_at)
    assert everything(again) == everything(whole)
    assert again.interval_means() == whole.interval_means()


def test_what_was_saved_does_not_change_with_further_training(states):
    learner = make_learner(states)
    learner.advance(0, 2)
    saved = learner.state_arrays(0)
    before = {name: array.tolist() for name, array in saved.items()}
    learner.advance(2, 2)
    assert {name: array.tolist() for name, array in saved.items()} == before
    assert {name: array.tolist() for name, array in learner.state_arrays(0).items()} != before


def test_several_seeds_equal_single_ones(states):
    together = make_learner(states, (0, 5))
    together.advance(0, 6)
    means = together.interval_means()
    for i, seed in enumerate((0, 5)):
        alone = make_learner(states, (seed,))
        alone.advance(0, 6)
        assert alone.interval_means() == [means[i]]
        assert alone.metrics() == [together.metrics()[i]]
        state = together.state_arrays(i)
        assert all(np.array_equal(array, state[name]) for name, array in alone.state_arrays(0).items())
    assert means[0]["toy/loss"] != means[1]["toy/loss"]


def test_metrics_are_those_of_the_last_update_and_means_those_since_last_asked(states):
    learner = make_learner(states)
    assert learner.interval_means() == [{}]
    rows = []
    for step in range(7):
        learner.advance(step, 1)
        rows += learner.metrics()
        if step == 4:
            (first,) = learner.interval_means()
    (second,) = learner.interval_means()
    for name in Toy.metric_names:
        values = [row[name] for row in rows]
        assert len(set(values)) == 7
        assert first[name] == pytest.approx(np.mean(values[:5]), rel=1e-9)
        assert second[name] == pytest.approx(np.mean(values[5:]), rel=1e-9)
    assert learner.interval_means() == [{}]


def test_held_out_metrics_depend_on_the_step_alone(states):
    others = copy.deepcopy(states)
    others.rewards[:] = np.arange(1000, 1000 + len(states))
    learner = make_learner(states, (0, 1), validation=others)
    found = [learner.validation_metrics(step) for step in (2, 2, 3)]
    assert found[0] == found[1]
    assert [set(row) for row in found[0]] == [{"validation/toy/loss", "validation/toy/reward"}] * 2
    assert all(row["validation/toy/reward"] >= 1000 for rows in found for row in rows)
    for i in range(2):
        assert found[0][i]["validation/toy/loss"] != found[2][i]["validation/toy/loss"]
    assert make_learner(states, (0, 1)).validation_metrics(2) == [{}, {}]


def test_neither_validation_nor_evaluation_disturbs_training(states):
    quiet, watched = make_learner(states), make_learner(states, validation=states)
    for step in range(6):
        quiet.advance(step, 1)
        watched.advance(step, 1)
        watched.validation_metrics(step + 1)
        watched.policy(0)(states.observations[:3], np.full((3, 2), step, np.uint32))
    assert everything(watched) == everything(quiet)
    assert watched.interval_means() == quiet.interval_means()


def test_a_policy_belongs_to_its_seed(states):
    learner = make_learner(states, (0, 1))
    args = states.observations[:3], np.zeros((3, 2), np.uint32)
    assert (learner.policy(0)(*args) != learner.policy(1)(*args)).all()


def test_training_draws_nothing_from_the_global_generator(states):
    before = torch.get_rng_state()
    make_learner(states).advance(0, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite_are_noticed(states, bad):
    agents = [Toy(0), Toy(1)]
    learner = TorchLearner(
        agents, (0, 1), [FIRST], Dataset(states, None, {}), Sampler(), batch_size=BATCH, device=CPU, record=False
    )
    assert learner.is_finite()
    with torch.no_grad():
        agents[1].average.layers[1].bias[0] = bad
    assert not learner.is_finite()


def test_the_state_of_another_agent_is_refused(states):
    wide = make_learner(states, width=9).state_arrays(0)
    with pytest.raises(ValueError, match=r"network/layers\.0\.weight is float32\[9, 3\], expected float32\[8, 3\]"):
        make_learner(states).load_state_arrays([wide])


def test_the_streams_of_another_kind_of_device_are_refused(states):
    learner = make_learner(states)
    arrays = learner.state_arrays(0)
    (name,) = [name for name in arrays if name.endswith("stream/noise")]
    arrays[name] = np.zeros(16, np.uint8)  # what a generator on a GPU keeps
    with pytest.raises(OptionError, match=r"stream 'noise' was saved on another kind of device \(16 bytes, here \d+\)"):
        learner.load_state_arrays([arrays])


def test_advancing_reads_nothing_on_the_host(states):
    learner = make_learner(states, (0, 1))
    with no_host_reads():
        learner.advance(0, 5)
    assert learner.metrics()[0]["toy/loss"] > 0


def test_an_agent_that_reads_its_loss_is_caught(states):
    learner = make_learner(states, kind=ReadingToy)
    with no_host_reads(), pytest.raises(HostReadError, match="_local_scalar_dense"):
        learner.advance(0, 1)


@pytest.mark.parametrize(
    "read",
    [
        *(lambda x: x.sum().item(), lambda x: float(x.sum()), lambda x: 1 if x.sum() > 0 else 0),
        *(lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: torch.where(x > 0), lambda x: x.unique()),
        *(lambda x: x.tolist(), lambda x: x.numpy(), lambda x: x.cpu(), lambda x: torch.equal(x, x)),
    ],
)
def test_the_watch_sees_what_would_wait_for_a_device(read):
    x = torch.arange(3.0)
    read(x)
    with no_host_reads(), pytest.raises(HostReadError):
        read(x)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_recorded_updates_equal_ordinary_ones_and_wait_for_nothing(states):
    device = torch.device("cuda", torch.cuda.current_device())
    ordinary, recorded = (make_learner(states, (0, 1), device=device, record=record) for record in (False, True))
    ordinary.advance(0, 20)
    recorded.advance(0, 16)  # three calls of each variant before it is recorded: all are by now
    torch.cuda.set_sync_debug_mode("error")
    try:
        recorded.advance(16, 4)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for i in range(2):
        expected = ordinary.state_arrays(i)
        for name, array in recorded.state_arrays(i).items():
            if "stream/" in name:
                np.testing.assert_array_equal(array, expected[name], err_msg=name)
            else:
                np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for found, reference in zip(recorded.interval_means(), ordinary.interval_means(), strict=True):
        assert found == pytest.approx(reference, rel=1e-4)
