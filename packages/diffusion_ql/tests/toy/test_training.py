import numpy as np
import pytest
import torch

from offlow_diffusion_ql.toy.bandit import make_bandit, shares
from offlow_diffusion_ql.toy.experiment import CLONING, Q_LEARNING, ToyError, train
from offlow_diffusion_ql.toy.learning import Workbench
from offlow_diffusion_ql.toy.options import ToyOptions

CPU = torch.device("cpu")
METHODS = CLONING | Q_LEARNING
SMALL = {"hidden_dim": 32, "T": 3, "lr": 3e-3}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def some_batch(count: int = 50) -> dict[str, torch.Tensor]:
    bandit = make_bandit(0, rewarded=True, points=4 * count)
    return {
        "observations": torch.zeros(count, 2),
        "actions": torch.from_numpy(bandit.actions[::4].copy()),
        "rewards": torch.from_numpy(bandit.rewards[::4].copy()),
    }


@pytest.mark.parametrize("name", [*METHODS])
def test_every_method_lowers_its_imitation_loss_and_acts(name):
    method, batch = METHODS[name](Workbench(ToyOptions(**SMALL, eta=0.1), CPU, name)), some_batch()
    losses = [method.update(batch).item() for _ in range(150)]
    # BEAR's policy only has to stay within its threshold.
    assert np.mean(losses[-30:]) < (np.mean(losses[:15]) if name != "BEAR-MMD" else 0.1)
    actions = method.sample(torch.zeros(7, 2))
    assert actions.shape == (7, 2)
    assert not actions.requires_grad
    assert actions.isfinite().all()


@pytest.mark.parametrize("name", ["BC-Diffusion", "BC-Flow"])
def test_a_short_imitation_finds_all_four_corners(name):
    options = ToyOptions(hidden_dim=64, T=10, lr=3e-3, num_epochs=15, seed=1)
    *near, elsewhere = shares(train(name, METHODS[name], make_bandit(1, rewarded=False), options, CPU))
    np.testing.assert_allclose(near, 0.25, atol=0.1)
    assert elsewhere < 0.1


def test_a_short_q_learning_finds_the_best_corner():
    options = ToyOptions(hidden_dim=64, T=5, lr=3e-3, num_epochs=6, seed=1)
    found = shares(train("Diffusion-QL", Q_LEARNING["Diffusion-QL"], make_bandit(1, rewarded=True), options, CPU))
    assert found[3] > 0.8


@pytest.mark.parametrize("mode", ["t_middle", "t_last", "last_few"])
def test_every_gradient_mode_trains(mode):
    settings = SMALL | {"T": 10}
    method = Q_LEARNING["Diffusion-QL"](Workbench(ToyOptions(**settings, mode=mode), CPU, "x"))
    losses = [method.update(some_batch()).item() for _ in range(60)]
    assert np.mean(losses[-20:]) < np.mean(losses[:5])


def test_methods_draw_from_nothing_global():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for name, make in METHODS.items():
        method = make(Workbench(ToyOptions(**SMALL, mode="t_last"), CPU, name))
        method.update(some_batch(8))
        method.sample(torch.zeros(3, 2))
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_a_seed_is_repeated_exactly():
    def samples(seed: int) -> np.ndarray:
        options = ToyOptions(**SMALL, num_epochs=1, num_steps_per_epoch=5, seed=seed)
        return train("BEAR-MMD", Q_LEARNING["BEAR-MMD"], make_bandit(0, rewarded=True), options, CPU)

    np.testing.assert_array_equal(samples(3), samples(3))
    assert not np.array_equal(samples(3), samples(4))


def test_a_training_that_diverges_says_so():
    bandit = make_bandit(0, rewarded=False)
    bandit.actions[:] = np.nan
    options = ToyOptions(**SMALL, num_epochs=1, num_steps_per_epoch=2)
    with pytest.raises(ToyError, match=r"BC-MLE diverged.*lower --lr \(now 0\.003\)"):
        train("BC-MLE", CLONING["BC-MLE"], bandit, options, CPU)
