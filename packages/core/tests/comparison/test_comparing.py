"""Methods, what may be compared, and the numbers of tables."""

import json
import math

import numpy as np
import pytest

from offlow_core.comparison import tables
from offlow_core.comparison.aggregates import Bootstrap, aggregate
from offlow_core.comparison.collecting import Source, collect, without_repetitions
from offlow_core.comparison.comparability import IncomparableError, made_differently, require_comparable
from offlow_core.comparison.curves import curve
from offlow_core.comparison.methods import named_methods
from offlow_core.comparison.summary import Comparison
from offlow_core.training.run_scores import final_scores

ONE, TWO = (f"cube-single-play-singletask-task{n}-v0" for n in (1, 2))


def compare(folder, last_k: int = 3) -> Comparison:
    records, _ = collect([Source(folder)])
    methods, _ = without_repetitions(named_methods(records))
    return Comparison(methods, last_k)


class TestMethods:
    def test_equal_options_are_one_method(self, make_run, tmp_path):
        make_run("fac", seed=0)
        make_run("fac", seed=1, options={"save_dir": "elsewhere", "eval_workers": 3})
        make_run("fql")
        assert {name: len(runs) for name, runs in compare(tmp_path).methods.items()} == {"fac": 2, "fql": 1}

    def test_runs_with_other_options_are_never_averaged(self, make_run, tmp_path):
        for seed, alpha in ((0, 0.5), (1, 0.5), (0, 5.0)):
            make_run("fac", seed=seed, agent_options={"fac_alpha": alpha, "lr": 1e-3})
        methods = compare(tmp_path).methods
        assert {name: len(runs) for name, runs in methods.items()} == {"fac (fac_alpha=0.5)": 2, "fac (fac_alpha=5)": 1}

    def test_options_that_follow_the_task_do_not_split_a_method(self, make_run, tmp_path):
        make_run("fac", ONE, agent_options={"alpha": 1})
        make_run("fac", TWO, agent_options={"alpha": 100})
        assert list(compare(tmp_path).methods) == ["fac"]

    def test_an_option_that_a_version_did_not_have_yet_does_not_split_a_method(self, make_run, tmp_path):
        make_run("fac", seed=0, version="0.0.9")
        make_run("fac", seed=1, agent_options={"new": 0})
        assert list(compare(tmp_path).methods) == ["fac"]

    def test_a_condition_that_a_version_did_not_tell_splits_a_method(self, make_run, tmp_path):
        make_run("fac", seed=0, version="0.0.9")
        make_run("fac", seed=1, semantics={"settling": "full"})
        told = [f"fac (the task's settling={value})" for value in ("full", "not recorded")]
        assert list(compare(tmp_path).methods) == told

    def test_numbers_that_differ_in_their_last_digits_split_a_method(self, make_run, tmp_path):
        for seed, alpha in enumerate((1000000.0, 1000001.0, 1000000)):
            make_run("fac", seed=seed, agent_options={"alpha": alpha})
        methods = compare(tmp_path).methods
        assert {name: len(runs) for name, runs in methods.items()} == {
            "fac (alpha=1000000)": 2,
            "fac (alpha=1000001)": 1,
        }

    def test_an_option_that_a_run_of_the_same_version_lacks_splits_a_method(self, make_run, tmp_path):
        make_run("fac", seed=0)
        make_run("fac", seed=1, agent_options={"new": 0})
        assert list(compare(tmp_path).methods) == ["fac (new=0)", "fac (new=not recorded)"]

    @pytest.mark.parametrize(
        ("other", "names"),
        [
            ({"total_steps": 900}, ["fac (steps of training=300)", "fac (steps of training=900)"]),
            ({"sha": "c" * 64}, [f"fac (checksum of the dataset={letter * 12})" for letter in "ac"]),
            ({"options": {"eval_episodes": 50}}, [f"fac (episodes per evaluation={n})" for n in (5, 50)]),
            (
                {"semantics": {"success_timing": "post"}},
                [f"fac (the task's success_timing={when})" for when in ("post", "pre")],
            ),
        ],
    )
    def test_runs_under_other_conditions_are_never_averaged(self, make_run, tmp_path, other, names):
        make_run("fac", seed=0)
        make_run("fac", seed=0, **other)
        assert list(compare(tmp_path).methods) == names

    def test_leaves_of_one_name_are_told_apart(self, make_run, tmp_path):
        make_run("fac", seed=0, options={"alpha": 1}, agent_options={"alpha": 1})
        make_run("fac", seed=1, options={"alpha": 2}, agent_options={"alpha": 2})
        assert list(compare(tmp_path).methods) == ["fac (agent.alpha=1, alpha=1)", "fac (agent.alpha=2, alpha=2)"]

    def test_given_names_win(self, make_run, tmp_path):
        ours, theirs = make_run("fac", seed=0), make_run("fac", seed=1)
        records, _ = collect([Source(ours, "ours"), Source(theirs)])
        assert list(named_methods(records)) == ["fac", "ours"]

    def test_a_given_name_never_averages_different_agents(self, make_run, tmp_path):
        for agent, seed in (("dac", 0), ("dbc", 1)):
            make_run(agent, seed=seed)
        records, _ = collect([Source(tmp_path, "ours")])
        assert list(named_methods(records)) == ["ours dac", "ours dbc"]

    def test_a_given_name_that_is_an_agents_never_averages_different_agents(self, make_run, tmp_path):
        make_run("fac", ONE)
        records, _ = collect([Source(make_run("dac", TWO), "fac"), Source(tmp_path)])
        assert list(named_methods(records)) == ["fac dac", "fac fac"]

    def test_a_given_name_that_is_an_agents_never_averages_different_options(self, make_run, tmp_path):
        wide, narrow = (make_run("fac", seed=i, agent_options={"width": 64 * (i + 1)}) for i in range(2))
        records, _ = collect([Source(wide, "fac"), Source(narrow)])
        assert list(named_methods(records)) == ["fac (width=128)", "fac (width=64)"]

    def test_how_the_data_are_prepared_splits_a_method(self, make_run, tmp_path):
        for suite, agent in (("d4rl", "dac"), ("ogbench", "fac")):
            for seed, rules in enumerate(("dac", "fql")):
                make_run(agent, seed=seed, options={"d4rl_rules": rules}, semantics={"suite": suite})
        # What prepares D4RL's data does nothing to others.
        assert list(compare(tmp_path).methods) == ["dac (d4rl_rules=dac)", "dac (d4rl_rules=fql)", "fac"]


class TestComparability:
    @pytest.mark.parametrize(
        ("other", "kind", "words"),
        [
            ({"options": {"eval_episodes": 50}}, "protocol", "episodes per evaluation: 5 (fac{0}); 50 (fql{1})"),
            ({"every": 50, "total_steps": 300}, "protocol", "steps between evaluations: 100 (fac{0}); 50 (fql{1})"),
            ({"total_steps": 900}, "budget", "steps of training: 300 (fac{0}); 900 (fql{1})"),
            ({"options": {"online_steps": 100}}, "budget", "of them online: 0 (fac{0}); 100 (fql{1})"),
            ({"sha": "c" * 64}, "dataset", f"checksum of the dataset: {'a' * 12} (fac{{0}}); {'c' * 12} (fql{{1}})"),
            ({"semantics": {"success_timing": "post"}}, "semantics", "success_timing: post (fql{1}); pre (fac{0})"),
            ({"semantics": {"new": 1}}, "semantics", "new: 1 (fql{1}); not recorded (fac{0})"),
            ({"semantics": {"score": "return"}}, "semantics", "kind of score: return (fql{1}); success (fac{0})"),
        ],
    )
    def test_differing_runs_of_a_task_are_refused_unless_allowed(self, make_run, tmp_path, other, kind, words):
        paths = [make_run("fac"), make_run("fql", **other)]
        methods = compare(tmp_path).methods
        with pytest.raises(IncomparableError) as error:
            require_comparable(methods, ())
        assert f"  {kind}: {ONE}: " in str(error.value)
        assert words.format(*(f": {path}" for path in paths)) in str(error.value)
        assert f"--allow {kind}" in str(error.value)
        assert len(require_comparable(methods, [kind])) == 1

    def test_other_software_is_said_but_not_refused(self, make_run, tmp_path):
        paths = [make_run("fac", seed=seed) for seed in range(2)]
        manifest = json.loads((paths[1] / "manifest.json").read_text())
        manifest["packages"]["numpy"], manifest["git"] = "1.0", {"revision": "f" * 40, "dirty": True}
        (paths[1] / "manifest.json").write_text(json.dumps(manifest))
        methods = compare(tmp_path).methods
        assert require_comparable(methods, ()) == []
        assert made_differently(methods) == [
            f"fac: made with more than one revision: 0123456789ab (fac: {paths[0]}); "
            f"ffffffffffff with changes (fac: {paths[1]})",
            f"fac: made with more than one numpy: 1.0 (fac: {paths[1]}); 2.4.6 (fac: {paths[0]})",
        ]

    def test_runs_of_several_tasks_may_differ(self, make_run, tmp_path):
        make_run("fac", ONE)
        make_run("fac", TWO, sha="d" * 64, options={"eval_episodes": 50})
        assert require_comparable(compare(tmp_path).methods, ()) == []

    def test_how_an_algorithm_prepares_the_data_is_its_own_affair(self, make_run, tmp_path):
        make_run("fac", semantics={"dataset_rules": {"name": "fql"}})
        make_run("dac", semantics={"dataset_rules": {"name": "dac"}})
        assert require_comparable(compare(tmp_path).methods, ()) == []


@pytest.fixture
def comparison(make_run, tmp_path) -> Comparison:
    """fac on two tasks with two seeds, fql on both with seed 0 and on one with seed 7."""
    make_run("fac", ONE, 0, (0.0, 50.0, 70.0))
    make_run("fac", ONE, 1, (0.0, 90.0, 80.0))
    make_run("fac", TWO, 0, (0.0, 10.0, 20.0), selected={"offline-selected": 10.0})
    make_run("fac", TWO, 1, (0.0, 10.0, 40.0))
    make_run("fql", ONE, 0, (0.0, 0.0, 60.0))
    make_run("fql", TWO, 0, (0.0, 0.0, 30.0))
    make_run("fql", TWO, 7, (0.0, 0.0, 90.0))
    return compare(tmp_path)


class TestNumbers:
    def test_a_mean_needs_its_evaluations_and_leaves_the_first_update_out(self):
        steps, scores = np.array([1, 50, 100]), np.array([0.0, 4.0, 8.0])
        assert final_scores(steps, scores, last_k=2)["mean of last 2"] == 6
        assert "mean of last 3" not in final_scores(steps, scores, last_k=3)

    def test_every_rule_by_hand(self, comparison):
        spreads = {rule: comparison.spread("fac", ONE, rule) for rule in comparison.rules}
        assert spreads["last"].mean == 75
        assert spreads["last"].std == pytest.approx(math.sqrt(50))
        assert spreads["mean of last 3"].mean == pytest.approx((40 + 170 / 3) / 2)
        assert spreads["best (online-selected)"].mean == 80
        assert spreads["offline-selected"] is None
        only = comparison.spread("fac", TWO, "offline-selected")
        assert (only.mean, only.seeds) == (10, 1)
        assert math.isnan(only.std)

    def test_the_matrix_has_the_seeds_that_ran_on_all_tasks(self, comparison):
        found = comparison.aggregated("ogbench", "last")
        assert found.tasks == (ONE, TWO)
        assert found.scores["fac"].tolist() == [[0.7, 0.2], [0.8, 0.4]]
        assert found.scores["fql"].tolist() == [[0.6, 0.3]]
        assert found.remarks == ("fql: 1 run whose seed is missing on another task",)

    def test_methods_that_miss_a_task_are_not_aggregated(self, comparison, make_run, tmp_path):
        make_run("dac", ONE)
        found = compare(tmp_path).aggregated("ogbench", "last")
        assert set(found.scores) == {"fac", "fql"}
        assert f"dac: no score on {TWO}; compared with --tasks {ONE}" in found.remarks

    def test_returns_without_a_scale_are_not_aggregated(self, make_run, tmp_path):
        make_run("flow_t", "Hopper-v4", semantics={"suite": "gymnasium", "score": "return"})
        found = compare(tmp_path).aggregated("gymnasium", "last")
        assert not found.scores
        assert found.remarks == ("Hopper-v4: returns have no common scale",)

    def test_statistics_of_a_suite_by_hand(self, comparison):
        found = aggregate(comparison.aggregated("ogbench", "last"), Bootstrap(resamples=100))
        values = {name: item.value for name, item in found.statistics["fac"].items()}
        # 0.2, 0.4, 0.7, 0.8: one is cut at each end.
        assert values == pytest.approx({"IQM": 0.55, "mean": 0.525, "median": 0.525, "optimality gap": 0.475})
        # Task one: 0.7 and 0.8 beat 0.6; task two: 0.4 beats 0.3, 0.2 does not.
        assert found.improvement["fac", "fql"].value == 0.75
        assert found.improvement["fql", "fac"].value == 0.25
        assert found.profiles["fac"].value[0] == 1
        again = aggregate(comparison.aggregated("ogbench", "last"), Bootstrap(resamples=100))
        assert again.statistics == found.statistics
        there, back = found.improvement["fac", "fql"], found.improvement["fql", "fac"]
        assert (back.low, back.high) == pytest.approx((1 - there.high, 1 - there.low))

    def test_a_curve_has_the_steps_that_all_its_runs_share(self, make_run, tmp_path):
        make_run("fac", scores=(1.0, 2.0, 3.0, 4.0), seed=0, every=100)
        make_run("fac", scores=(20.0, 40.0), seed=1, every=200, rate=100.0)
        runs = compare(tmp_path).runs
        found = curve("fac", runs, Bootstrap())
        assert found.steps.tolist() == [200, 400]
        assert found.mean.tolist() == [11, 22]
        assert found.seconds.tolist() == [3, 6]
        assert found.low.tolist() == [2, 4]  # all resamples of one seed alone are within the interval
        assert found.high.tolist() == [20, 40]


class TestTables:
    def test_the_overview(self, comparison):
        table = tables.overview(comparison, "ogbench", "last")
        assert table.header == ("task", "fac", "fql")
        rows = [[cell.text for cell in row] for row in table.rows]
        assert rows == [
            [f"{ONE} (success)", "75.0 ± 7.1 (2)", "60.0 (1)"],
            [f"{TWO} (success)", "30.0 ± 14.1 (2)", "60.0 ± 42.4 (2)"],
        ]
        assert [[cell.is_best for cell in row] for row in table.rows] == [[False, True, False], [False, False, True]]

    @pytest.mark.parametrize(("scores", "best"), [((-10.0, -10.4, -12.0), [1, 1, 0]), ((100.0, 95.0, 94.9), [1, 1, 0])])
    def test_near_the_best_also_below_zero(self, make_run, tmp_path, scores, best):
        for agent, score in zip(("dac", "fac", "fql"), scores, strict=True):
            make_run(agent, scores=(score,))
        (row,) = tables.overview(compare(tmp_path), "ogbench", "last").rows
        assert [cell.is_best for cell in row[1:]] == [bool(value) for value in best]

    def test_lower_is_better_for_the_gap(self, comparison):
        table = tables.aggregates(aggregate(comparison.aggregated("ogbench", "last"), Bootstrap(100)), "last")
        best = {row[0].text: [cell.is_best for cell in row[1:]] for row in table.rows}
        assert best == {"fac (2 seeds)": [True] * 4, "fql (1 seed)": [False] * 4}
