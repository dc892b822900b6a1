"""Learning curves as PNG files."""

import subprocess
import sys

import numpy as np
import pytest

from offlow_core.suites.score import ScoreRule
from offlow_core.training import curves, seed_curves
from offlow_core.training.curves import plot_run
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.seed_curves import plot_runs


def make_run(root, seed=0, algorithm="fac", scores=(0.0, 0.25, 0.5), episodes=4) -> RunDirectory:
    run = RunDirectory.create(root, "cube-v0", algorithm, seed, {}, {})
    for index, score in enumerate(scores):
        step = 1000 * index
        run.log_episodes(step, [{"episode": i, "success": float(i < score * episodes)} for i in range(episodes)])
        run.log_eval(step, {"success": score})
        run.log_train(step + 1, {"critic/loss": 10.0 ** (1 - index), "actor/loss": -1.0, "q": 3.0})
    return run


@pytest.fixture
def figures(monkeypatch):
    """Figures instead of files."""
    saved = []
    for module in (curves, seed_curves):
        monkeypatch.setattr(module, "save", lambda figure, path: saved.append(figure) or path)
    return saved


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_picture_is_written_into_the_run(tmp_path):
    path = plot_run(make_run(tmp_path))
    assert path.name == "learning_curve.png"
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = np.frombuffer(path.read_bytes()[16:24], ">u4")
    assert width == 9 * 150
    assert height > 700


def test_score_and_losses_are_drawn_with_their_rules(tmp_path, figures):
    plot_run(make_run(tmp_path), phases={"cloning": 0, "critic": 1000})
    score, critic, actor = figures[0].axes
    line = score.lines[0]
    assert line.get_xdata().tolist() == [0, 1000, 2000]
    assert line.get_ydata().tolist() == [0, 25, 50]
    assert score.get_title("left") == "each point: mean of 4 episodes; band: one standard error"
    assert (score.get_xlabel(), score.get_ylabel()) == ("steps", "success (%)")
    assert texts(score) == ["last: 50", "cloning", "critic"]
    assert (critic.get_title("left"), critic.get_yscale()) == ("critic/loss", "log")
    assert (actor.get_title("left"), actor.get_yscale()) == ("actor/loss", "linear")


def test_the_band_is_the_standard_error_of_the_episodes(tmp_path, figures):
    plot_run(make_run(tmp_path, scores=(0.5,)), losses=[])
    vertices = figures[0].axes[0].collections[0].get_paths()[0].vertices
    # Two of four succeed: sample variance 1/3, standard error sqrt(1/12).
    assert np.ptp(vertices[:, 1]) == pytest.approx(2 * 100 * np.sqrt(1 / 12))


def test_a_score_that_episodes_do_not_have_is_drawn_without_a_band(tmp_path, figures):
    run = make_run(tmp_path, scores=())
    run.log_eval(10, {"score": 42.0})
    plot_run(run, score=ScoreRule("score", "score", high=100.0, is_share=False))
    axes = figures[0].axes[0]
    assert (axes.get_ylabel(), axes.get_title("left")) == ("score", "each point: one evaluation")
    assert len(axes.collections) == 0


def test_validation_shares_the_panel_of_its_loss(tmp_path, figures):
    run = make_run(tmp_path, scores=())
    for step in (1, 2):
        run.log_train(step, {"a_loss": 1.0, "validation/a_loss": 20.0 * step, "b_loss": 1.0})
    plot_run(run)
    first, second = figures[0].axes
    assert [line.get_ydata().tolist() for line in first.lines] == [[1, 1], [20, 40]]
    assert (texts(first), texts(second)) == (["validation"], [])
    assert (first.get_yscale(), second.get_yscale()) == ("log", "linear")


def test_a_preparing_phase_has_negative_steps(tmp_path, figures):
    run = make_run(tmp_path)
    run.log_train(-500, {"flow_loss": 1.0})
    plot_run(run, phases={"cloning": -1000, "critic": 0})
    for axes in figures[0].axes:
        assert axes.get_xlim() == (-1000, 2001)
    boundaries = [line.get_xdata()[0] for line in figures[0].axes[0].lines[1:]]
    assert boundaries == [0]


def test_missing_numbers_are_left_out(tmp_path, figures):
    run = make_run(tmp_path, scores=(0.5, np.nan, 1.0))
    run.log_train(5000, {"late_loss": 2.0})
    plot_run(run)
    score, *_, late = figures[0].axes
    assert score.lines[0].get_xdata().tolist() == [0, 2000]
    assert late.lines[0].get_xdata().tolist() == [5000]


def test_long_losses_get_a_moving_mean(tmp_path, figures):
    run = make_run(tmp_path, scores=())
    for step in range(200):
        run.log_train(step, {"loss": float(step)})
    plot_run(run)
    raw, mean = figures[0].axes[0].lines
    assert len(raw.get_xdata()) == 200
    np.testing.assert_allclose(mean.get_ydata(), mean.get_xdata())  # the mean of a straight line is the line


def test_a_run_without_evaluations_shows_its_losses(tmp_path, figures):
    run = make_run(tmp_path, scores=())
    run.log_train(1, {"loss": 1.0})
    plot_run(run)
    assert [axes.get_title("left") for axes in figures[0].axes] == ["loss"]


def test_a_run_without_numbers_has_no_picture(tmp_path):
    with RunDirectory.create(tmp_path, "cube-v0", "fac", 0, {}, {}) as run:
        assert plot_run(run) is None
    assert not (run.path / "learning_curve.png").exists()


def test_the_returns_of_training_episodes_come_before_the_losses(tmp_path, figures):
    with RunDirectory.create(tmp_path, "Hopper-v4", "flow_t", 0, {}, {}) as run:
        for step in (10, 20):
            run.log_train(step, {"critic/critic_loss": 1.0, "online/episode_return_mean20": 5.0 * step})
    plot_run(run)
    titles = [axes.get_title(loc="left") for axes in figures[0].axes]
    assert titles == ["online/episode_return_mean20", "critic/critic_loss"]


def test_seeds_are_a_mean_with_a_band_where_all_were_evaluated(tmp_path, figures):
    fac = [make_run(tmp_path, 0, scores=(0, 0.5, 1.0)), make_run(tmp_path, 1, scores=(0, 0.25))]
    fql = [make_run(tmp_path, 0, "fql", scores=(0, 0.5))]
    plot_runs({"FAC": fac, "FQL": fql}, tmp_path / "all.png", title="cube")
    axes = figures[0].axes[0]
    assert axes.lines[0].get_xdata().tolist() == [0, 1000]
    assert axes.lines[0].get_ydata().tolist() == [0, 37.5]
    vertices = axes.collections[0].get_paths()[0].vertices
    assert sorted(set(vertices[vertices[:, 0] == 1000, 1])) == [25, 50]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["FAC (2 seeds)", "FQL (1 seed)"]
    assert "mean of 4 episodes" in axes.get_title("left")


def test_groups_that_cannot_be_drawn_are_named(tmp_path):
    with pytest.raises(ValueError, match="the runs of 'FAC' share no step"):
        plot_runs({"FAC": [make_run(tmp_path, scores=())]}, tmp_path / "x.png", title="")
    with pytest.raises(ValueError, match="expected 1 to 7 groups"):
        plot_runs({}, tmp_path / "x.png", title="")


def test_no_global_plotting_state_and_no_early_import():
    code = """
import sys
import offlow_core.training.curves
assert "matplotlib" not in sys.modules
from matplotlib.figure import Figure
import pathlib, tempfile
from offlow_core.training.curves import plot_run
from offlow_core.training.run_directory import RunDirectory
run = RunDirectory.create(tempfile.mkdtemp(), "t", "a", 0, {}, {})
run.log_train(1, {"loss": 1.0})
plot_run(run)
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
