"""Which tasks are aggregated where not all methods ran on all, and what tables say of what is missing."""

import csv
import math

import numpy as np
import pytest

from offlow_core.comparison import tables
from offlow_core.comparison.aggregates import Aggregates, Bootstrap, aggregate
from offlow_core.comparison.collecting import Source, collect
from offlow_core.comparison.methods import named_methods
from offlow_core.comparison.shared_tasks import patterns, shared_tasks
from offlow_core.comparison.summary import Comparison
from offlow_core.comparison.table_text import csv_text

ONE, TWO, THREE = (f"cube-single-play-singletask-task{n}-v0" for n in (1, 2, 3))


def compare(folder, last_k: int = 3) -> Comparison:
    return Comparison(named_methods(collect([Source(folder)])[0]), last_k)


def aggregated(comparison: Comparison) -> Aggregates:
    return aggregate(comparison.aggregated("ogbench", "last"), Bootstrap(resamples=50))


@pytest.mark.parametrize(
    ("tasks_of", "expected"),
    [
        ({"x": "AB", "y": "AB", "z": "A"}, "AB"),  # two have all
        ({"x": "AB"}, "AB"),  # there is no other method
        ({"x": "ABC", "y": "AB", "z": "AB"}, "AB"),
        ({"x": "ABC", "y": "AB", "z": "AB", "w": "A"}, "AB"),  # 3 methods on 2 tasks, rather than 4 on 1
        ({"x": "AB", "y": "BC"}, "B"),
        ({"x": "AB", "y": "BC", "z": "CD", "w": "D"}, "B"),  # B, C and D have two methods each
        ({"x": "ABC", "y": "AD", "z": "BD", "w": "BD"}, "BD"),  # 2 on BD, 4 scores, rather than 3 on B
        ({"x": "A", "y": "B"}, "AB"),  # nothing is shared
        ({"x": "", "y": ""}, "AB"),
    ],
)
def test_the_tasks_with_most_scores_to_compare(tasks_of, expected):
    tasks = sorted(set("AB").union(*tasks_of.values()))
    assert "".join(shared_tasks(tasks_of, tasks)) == expected


def test_a_stray_task_does_not_empty_the_aggregate(make_run, tmp_path):
    for agent, gain in (("fac", 1.0), ("fql", 0.5), ("dac", 0.1)):
        for task in (ONE, TWO):
            for seed in (0, 1):
                make_run(agent, task, seed, (10 * gain * (1 + seed) + (40 if task == TWO else 0),))
    make_run("fac", THREE, 0, (99.0,))
    found = aggregated(compare(tmp_path))
    assert found.scores.tasks == (ONE, TWO)
    assert not found.scores.is_whole
    # Task one: 10 and 20, task two: 50 and 60; half and a tenth of the gain for the others.
    assert found.scores.scores["fac"].tolist() == [[0.1, 0.5], [0.2, 0.6]]
    assert {name: by["mean"].value for name, by in found.statistics.items()} == {
        "fac": pytest.approx(0.35),
        "fql": pytest.approx((5 + 10 + 45 + 50) / 400),
        "dac": pytest.approx((1 + 2 + 41 + 42) / 400),
    }
    table = tables.aggregates(found, "last")
    assert table.title == "ogbench: 2 tasks"
    assert f"Over 2 tasks ({ONE}, {TWO})" in table.note
    assert f"Left out: {THREE}: no two methods have scores on all 3 tasks" in table.note


def test_methods_without_all_tasks_are_told_how_to_be_compared(make_run, tmp_path):
    for agent, tasks in (("dac", (ONE, TWO)), ("fac", (ONE, TWO)), ("fql", (ONE,)), ("deflow", (ONE,))):
        for task in tasks:
            make_run(agent, task)
    found = aggregated(compare(tmp_path)).scores
    assert set(found.scores) == {"dac", "fac"}
    assert found.remarks == (f"deflow, fql: no score on {TWO}; compared with --tasks {ONE}",)


def test_patterns_stand_for_the_tasks_and_no_others():
    known = [f"{env}-play-singletask-task{n}-v0" for env in ("cube", "scene") for n in (1, 2, 3)]
    assert patterns(known, known) == ["cube-play-singletask-task*-v0", "scene-play-singletask-task*-v0"]
    assert patterns(known[:3], known) == ["cube-play-singletask-task*-v0"]
    assert patterns(known[:2], known) == known[:2]
    assert patterns(known[2:4], known) == known[2:4]


class TestIntervals:
    def test_an_interval_of_no_width_is_one(self, make_run, tmp_path):
        for agent, score in (("fac", 50.0), ("fql", 40.0)):
            for seed in (0, 1):
                make_run(agent, ONE, seed, (score,))
        found = aggregated(compare(tmp_path))
        rows = tables.aggregates(found, "last").rows
        assert rows[0][1].text == "50.0 [50.0, 50.0]"
        (improvement,) = tables.improvement(found, "last")
        assert [cell.text for cell in improvement.rows[0]] == ["fac", "", "100.0 [100.0, 100.0]"]

    def test_a_single_seed_has_none(self, make_run, tmp_path):
        make_run("fac", ONE, 0, (50.0,))
        make_run("fql", ONE, 0, (40.0,))
        found = aggregated(compare(tmp_path))
        table = tables.aggregates(found, "last")
        assert table.rows[0][1].text == "50.0"
        assert [cell.text for cell in tables.improvement(found, "last")[0].rows[0]] == ["fac", "", "100.0"]
        line = next(csv.DictReader(csv_text(table).splitlines()))
        assert float(line["value"]) == 50
        assert math.isnan(float(line["low"]))
        assert math.isnan(float(line["high"]))

    def test_one_method_with_several_seeds_makes_an_interval(self, make_run, tmp_path):
        make_run("fac", ONE, 0, (50.0,))
        for seed, score in ((0, 40.0), (1, 60.0)):
            make_run("fql", ONE, seed, (score,))
        (table,) = tables.improvement(aggregated(compare(tmp_path)), "last")
        assert table.rows[0][2].text == "50.0 [0.0, 100.0]"


class TestMissingMeans:
    def test_too_few_evaluations_are_said(self, make_run, tmp_path):
        make_run("fac", scores=(1.0, 2.0), every=150)
        make_run("fql", scores=(1.0, 2.0, 3.0), every=100)
        comparison = compare(tmp_path)
        said = "“mean of last 3” is missing for 1 of 2 runs: fewer than 3 evaluations that count"
        assert said in tables.by_rule(comparison, ONE).note
        assert said in tables.run_scores(comparison).note
        assert said in tables.overview(comparison, "ogbench", "mean of last 3").note
        assert "--last_k" in tables.by_rule(comparison, ONE).note

    def test_nothing_is_said_where_none_is_missing(self, make_run, tmp_path):
        make_run("fac", scores=(1.0, 2.0))
        comparison = compare(tmp_path, last_k=2)
        assert "--last_k" not in tables.by_rule(comparison, ONE).note + tables.run_scores(comparison).note
        assert "--last_k" not in tables.overview(compare(tmp_path), "ogbench", "last").note


def test_a_rule_of_some_tasks_only_is_aggregated_over_those(make_run, tmp_path):
    for agent in ("fac", "fql"):
        make_run(agent, ONE, selected={"offline-selected": 20.0})
        make_run(agent, TWO)
    found = compare(tmp_path).aggregated("ogbench", "offline-selected")
    assert found.tasks == (ONE,)
    assert np.concatenate(list(found.scores.values())).tolist() == [[0.2], [0.2]]
