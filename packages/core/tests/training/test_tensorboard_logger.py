"""TensorBoard's event files, read back with TensorBoard itself."""

import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from offlow_core.suites.score import RETURN, ScoreRule
from offlow_core.training.loggers import make_logger
from offlow_core.training.options import RunOptions
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.session import require_extras


@pytest.fixture
def run(tmp_path):
    with RunDirectory.create(tmp_path / "runs", "hopper-v0", "dac", 3, {}, {}) as run:
        yield run


def scalars(run):
    """Name -> [(step, value)], as TensorBoard shows them."""
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_every_kind_of_number_has_a_heading(run):
    logger = make_logger(run, tensorboard=RETURN)
    logger.log("train", 5, {"critic_loss": 0.5, "none": None, "nan": float("nan")})
    logger.log("eval", 10, {"score": 40.0})
    logger.log("timing", 10, {"updates_per_s": 2.0})
    logger.close()
    assert scalars(run) == {
        "training/critic_loss": [(5, 0.5)],
        "evaluation/score": [(10, 40.0)],
        "timing/updates_per_s": [(10, 2.0)],
    }
    assert run.read("train")["critic_loss"] == [0.5]  # beside the tables


def test_the_spread_of_an_evaluation_is_that_of_its_scores(run):
    logger = make_logger(run, tensorboard=ScoreRule("return", "return", low=10.0, high=60.0, is_share=False))
    rows = [{"return": value, "length": length} for value, length in ((10.0, 4), (35.0, 5), (60.0, 9))]
    logger.log_episodes(7, rows)
    logger.close()
    found = {name.removeprefix("evaluation/average_"): values for name, values in scalars(run).items()}
    deviation = pytest.approx((2 * 50.0**2 / 3) ** 0.5)  # of the scores 0, 50 and 100
    expected = {"means": 50.0, "medians": 50.0, "stds": deviation, "mins": 0.0, "maxs": 100.0, "lengths": 6.0}
    assert found == {name: [(7, value)] for name, value in expected.items()}


def test_a_resumed_run_hides_what_it_repeats(run):
    for first, value in ((1, 1.0), (3, 2.0)):
        logger = make_logger(run, tensorboard=RETURN)
        for step in range(first, 5):
            logger.log("train", step, {"loss": value})
        logger.close()
    assert scalars(run)["training/loss"] == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]


def test_it_is_not_imported_unless_asked():
    code = """
import sys, tempfile
from offlow_core.training.loggers import make_logger
from offlow_core.training.run_directory import RunDirectory
make_logger(RunDirectory.create(tempfile.mkdtemp(), "t", "a", 0, {}, {})).close()
assert "tensorboardX" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_without_it_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("offlow_core.extras.find_spec", lambda name: None)
    with pytest.raises(Exception, match="need the extra `tensorboard`, which is not installed: uv run --extra"):
        require_extras(RunOptions(tensorboard=True))
