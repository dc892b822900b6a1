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


@pytest.mark.parametrize("name", [name for name in METHODS if name != "BEAR-MMD"])
def test_every_method_lowers_its_imitation_loss_and_acts(name):
    method, batch = METHODS[name](Workbench(ToyOptions(**SMALL, eta=0.1), CPU, name)), some_batch()
    losses = [method.update(batch).item() for _ in range(100)]
    assert np.mean(losses[-20:]) < np.mean(losses[:15])
    actions = method.sample(torch.zeros(7, 2))
    assert actions.shape == (7, 2)
    assert not actions.requires_grad
    assert actions.isfinite().all()


def test_the_multiplier_holds_bear_back_from_the_best_corner():
    means = {}
    for log_multiplier in (-5.0, 8.0):
        method = Q_LEARNING["BEAR-MMD"](Workbench(ToyOptions(**SMALL), CPU, "BEAR-MMD"))
        for _ in range(80):
            with torch.no_grad():
                method.log_multiplier.fill_(log_multiplier)
            method.update(some_batch())
        means[log_multiplier] = method.sample(torch.zeros(1000, 2)).mean(0)
    assert means[-5.0][0] > 0.6
    assert means[-5.0][1] < -0.6
    assert means[8.0].abs().max() < 0.4


@pytest.mark.parametrize(("name", "updates", "elsewhere"), [("BC-Diffusion", 1500, 0.5), ("BC-Flow", 400, 0.15)])
def test_a_short_imitation_finds_all_four_corners(name, updates, elsewhere):
    options = ToyOptions(hidden_dim=64, T=10, lr=5e-3, num_epochs=1, num_steps_per_epoch=updates, seed=1)
    found = shares(train(name, METHODS[name], make_bandit(1, rewarded=False), options, CPU))
    assert found[:4].min() > 0.05
    assert found[4] < elsewhere  # 0.95 of the noise that both start from


def test_a_short_q_learning_goes_where_the_reward_is():
    options = ToyOptions(hidden_dim=32, T=3, lr=5e-3, num_epochs=1, seed=1)
    actions = train("Diffusion-QL", Q_LEARNING["Diffusion-QL"], make_bandit(1, rewarded=True), options, CPU)
    assert np.mean((actions[:, 0] > 0.5) & (actions[:, 1] < -0.5)) > 0.8


@pytest.mark.slow
def test_q_learning_ends_in_the_best_corner():
    options = ToyOptions(hidden_dim=64, T=5, lr=2e-3, eta=1.0, num_epochs=100)
    bandit = make_bandit(options.seed, rewarded=True)
    assert shares(train("Diffusion-QL", Q_LEARNING["Diffusion-QL"], bandit, options, CPU))[3] > 0.5


@pytest.mark.parametrize("mode", ["t_middle", "t_last", "last_few"])
def test_every_gradient_mode_trains(mode):
    settings = SMALL | {"T": 6}
    method = Q_LEARNING["Diffusion-QL"](Workbench(ToyOptions(**settings, mode=mode), CPU, "x"))
    losses = [method.update(some_batch()).item() for _ in range(40)]
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
