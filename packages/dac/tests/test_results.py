"""Result files in the official layout: numbers by hand, and what cannot be made into results."""

import numpy as np
import pytest

from offlow_core.suites.score import ScoreRule
from offlow_core.training.run_directory import RunDirectory
from offlow_dac.main import main
from offlow_dac.published import published_curve
from offlow_dac.results.curves import read_folder, seed_curve
from offlow_dac.results.folder import write_results
from offlow_dac.results.scores import ResultsError, SeedScores

SCORE = ScoreRule("normalised return", "return", low=0.0, high=50.0, is_share=False)


def make_run(root, seed, returns, **agent):
    """A run whose evaluations after steps 10, 20, ... had episodes of these returns."""
    config = {"seed": seed, "env_name": "hopper-medium-v2", "agent": {"agent_name": "dac", "eta": 1.0, **agent}}
    with RunDirectory.create(root, "hopper-medium-v2", "dac", seed, config, {}) as run:
        for index, episodes in enumerate(returns):
            run.log_episodes(10 * (index + 1), [{"return": value, "length": 5} for value in episodes])
    return run


@pytest.fixture
def runs(tmp_path):
    """Seed 3 scores 2, 4, ..., 14 in seven evaluations; seed 4 scores 20 in all but the third, in which it has 60."""
    first = make_run(tmp_path, 3, [[0.0, 2.0 * k] for k in range(1, 8)])
    second = make_run(tmp_path, 4, [[10.0], [10.0], [30.0], [10.0], [10.0], [10.0], [10.0]])
    return [first, second]


def test_the_files_hold_these_numbers(runs, tmp_path):
    folder = tmp_path / "results"
    write_results(runs, folder, SCORE)
    lines = (folder / "seed_3.txt").read_text().splitlines()
    assert lines[0] == "steps\tmean\tmedian\tstd\tmin\tmax"
    assert lines[1] == "10\t2.00\t2.00\t2.00\t0.00\t4.00"  # scores 0 and 4
    assert lines[7] == "70\t14.00\t14.00\t14.00\t0.00\t28.00"
    assert len(lines) == 8
    # The last five evaluations: 6, 8, 10, 12, 14 and 60, 20, 20, 20, 20; the best ones: 14 and 60.
    assert (folder / "final_mean_scores.txt").read_text().splitlines() == [
        "seed_3\tseed_4\tmean\tstd\tmax\tmin",
        "10.00\t28.00\t19.00\t9.00\t28.00\t10.00",
        "14.00\t60.00\t37.00\t23.00\t60.00\t14.00",
    ]
    assert "agent.eta = 1.0" in (folder / "config.txt").read_text().splitlines()
    assert (folder / "training_curve.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_written_is_read_again(runs, tmp_path):
    write_results(runs, tmp_path / "results", SCORE)
    first, second = read_folder(tmp_path / "results")
    assert (first.seed, second.seed, first.final, second.best) == (3, 4, 10.0, 60.0)


def test_a_curve_is_mean_and_sample_deviation_of_smoothed_seeds():
    def seed(number, means):
        return SeedScores(number, np.array([1, 2, 3]), np.array([[mean, 0, 0, 0, 0] for mean in means], float))

    curve = seed_curve("dac", [seed(0, [0, 4, 8]), seed(1, [2, 2, 2])], window=2)
    # Smoothed: 0, 2, 6 and 2, 2, 2.
    np.testing.assert_allclose(curve.mean, [1, 2, 4])
    np.testing.assert_allclose(curve.high - curve.mean, [2**0.5, 0, 8**0.5])
    np.testing.assert_allclose(curve.mean - curve.low, curve.high - curve.mean)
    assert curve.label == "dac (2 seeds)"


def test_a_curve_needs_steps_that_all_seeds_share():
    one, other = (SeedScores(0, np.array([step]), np.zeros((1, 5))) for step in (1, 2))
    with pytest.raises(ResultsError, match="the seeds of dac were never evaluated after the same step"):
        seed_curve("dac", [one, other])


def test_seeds_of_two_methods_are_not_averaged(runs, tmp_path):
    other = make_run(tmp_path, 5, [[1.0]], eta=0.5)
    with pytest.raises(ResultsError, match=r"seeds of one method, but agent.eta is 1.0 in .* and 0.5 in"):
        write_results([*runs, other], tmp_path / "results", SCORE)


def test_a_seed_counts_once(runs, tmp_path):
    again = make_run(tmp_path, 3, [[1.0]])
    with pytest.raises(ResultsError, match=r"expected runs of different seeds, got \[3, 3, 4\]"):
        write_results([*runs, again], tmp_path / "results", SCORE)


def test_a_run_without_evaluation_is_named(tmp_path):
    run = make_run(tmp_path, 3, [])
    with pytest.raises(ResultsError, match="has no evaluation yet"):
        write_results([run], tmp_path / "results", SCORE)


@pytest.mark.parametrize(
    "text",
    ["", "steps\tmean\n", "steps\tmean\tmedian\tstd\tmin\tmax\n", "steps\tmean\tmedian\tstd\tmin\tmax\n1\t2\n",
     "steps\tmean\tmedian\tstd\tmin\tmax\n1\t2\tx\t4\t5\t6\n"],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "seed_1.txt").write_text(text)
    with pytest.raises(ResultsError, match=r"seed_1.txt: "):
        read_folder(tmp_path)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ResultsError, match=r"has no seed_<number>.txt; name folders such as RUN/results"):
        read_folder(tmp_path)


def test_published_curves_end_where_the_table_says():
    """The last five points of walker2d-medium average to the table's 96.8."""
    curve = published_curve("walker2d-medium-v2")
    assert curve.steps[[0, -1]].tolist() == [0, 2_000_000]
    assert curve.mean[-5:].mean() == pytest.approx(96.8, abs=0.05)
    assert published_curve("antmaze-large-play-v0").steps[-1] == 1_930_000
    assert published_curve("door-expert-v1") is None


def test_curves_are_drawn_beside_the_published_one(runs, tmp_path, capsys):
    write_results(runs, tmp_path / "RUN" / "results", SCORE)
    out = tmp_path / "c.png"
    command = ["curves", str(tmp_path / "RUN" / "results"), "--window", "3", "--out", str(out)]
    assert main([*command, "--published", "hopper-medium-v2"]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{out}\n"
    with pytest.raises(SystemExit, match="no curve was published for door"):
        main([*command, "--published", "door"])


def test_a_window_is_at_least_one(tmp_path):
    with pytest.raises(SystemExit, match="window must be at least 1, got 0"):
        main(["curves", str(tmp_path), "--window", "0"])
