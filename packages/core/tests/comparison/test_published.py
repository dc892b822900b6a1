"""Published numbers, and which of ours stand beside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from offlow_core.comparison import tables
from offlow_core.comparison.collecting import Source, collect
from offlow_core.comparison.methods import named_methods
from offlow_core.comparison.published import PublishedScore, published_scores
from offlow_core.comparison.published.ours import Steps, our_scores
from offlow_core.comparison.summary import Comparison
from offlow_core.suites import resolve

ONE, TWO = (f"cube-single-play-singletask-task{n}-v0" for n in (1, 2))
CHUNKS = {"horizon_length": 5, "action_chunking": True, "actor_type": "distill-ddpg"}


def compare(folder, *, own_data: bool = False) -> Comparison:
    records, _ = collect([Source(folder)])
    methods = named_methods(records).items()
    return Comparison({name: [replace(run, own_data=own_data) for run in runs] for name, runs in methods}, 3)


def published(phase: str = "offline", offline: int | None = None, online: int | None = None) -> PublishedScore:
    """A number for fql on one task."""
    return PublishedScore(ONE, (ONE,), "FQL", "fql", (), phase, offline, online, "97", "2", "setting", "source")


def texts(comparison: Comparison, score: PublishedScore, rule: str = "last") -> list[str]:
    return [our.text for our in our_scores(comparison, score, rule)]


def shown(comparison: Comparison, scores: Sequence[PublishedScore] = ()) -> list[list[str]]:
    table = tables.published(comparison, scores or published_scores(), "last")
    return [[cell.text for cell in row] for row in table.rows]


def test_published_numbers_stand_beside_ours(make_run, tmp_path):
    for n in range(1, 6):
        make_run("fql", f"cube-single-play-singletask-task{n}-v0", scores=(90.0 + n,))
    rows = shown(compare(tmp_path))
    group = "cube-single-play-singletask-task{1..5}-v0"
    (ours,) = [row for row in rows if row[0] == group and row[1] == "FQL" and "table 2" in row[5]]
    assert ours[2:4] == ["96 ± 1", "fql: 93.0 (after 100 steps)"]
    (alone,) = [row for row in rows if row[0] == ONE and row[1] == "FQL"]
    assert alone[2:4] == ["97 ± 2", "fql: 91.0 (after 100 steps)"]
    (other,) = [row for row in rows if row[0] == group and row[1] == "ReBRAC" and "table 2" in row[5]]
    assert other[3] == "—"


def test_own_data_are_told_from_published_ones(make_run, tmp_path):
    make_run("fql", scores=(6.4,), every=1_000_000)
    score = published(offline=1_000_000)
    assert texts(compare(tmp_path), score) == ["fql: 6.4"]
    assert texts(compare(tmp_path, own_data=True), score) == ["fql: 6.4 (own data)"]
    note = tables.published(compare(tmp_path), [score], "last").note
    assert "--dataset_path" in note


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (300, "fql: 30.0"),
        (400, "fql: 40.0"),
        (350, "fql: 30.0 (after 300 steps)"),
        (9_000, "fql: 40.0 (after 400 steps)"),
        (None, "fql: 40.0 (after 400 steps)"),
    ],
)
def test_ours_are_taken_after_the_published_steps(make_run, tmp_path, named, expected):
    make_run("fql", scores=(10.0, 20.0, 30.0, 40.0))
    assert texts(compare(tmp_path), published(offline=named)) == [expected]


def test_a_rule_is_applied_as_if_the_run_had_ended_there(make_run, tmp_path):
    make_run("fql", scores=(50.0, 10.0, 30.0, 90.0), selected={"offline-selected": 10.0})
    comparison, score = compare(tmp_path), published(offline=300)
    assert texts(comparison, score, "mean of last 3") == ["fql: 30.0"]
    assert texts(comparison, score, "best (online-selected)") == ["fql: 50.0"]
    assert texts(comparison, score, "offline-selected") == []  # the package chose among all evaluations
    assert texts(comparison, published(offline=400), "offline-selected") == ["fql: 10.0"]


class TestBothPhases:
    """Four evaluations, 100 steps apart: two offline, two online."""

    @pytest.fixture
    def comparison(self, make_run, tmp_path) -> Comparison:
        make_run("fql", scores=(10.0, 20.0, 30.0, 40.0), options={"online_steps": 200})
        return compare(tmp_path)

    @pytest.mark.parametrize(
        ("phase", "offline", "online", "expected"),
        [
            ("before", 200, None, "fql: 20.0"),
            ("before", None, None, "fql: 20.0 (after 200 steps)"),
            ("before", 1_000_000, None, "fql: 20.0 (after 200 steps)"),
            ("online", 200, 100, "fql: 30.0"),
            ("online", 200, 200, "fql: 40.0"),
            ("online", 200, 1_000, "fql: 40.0 (after 200 + 200 steps)"),
            ("online", 1_000_000, 100, "fql: 30.0 (after 200 + 100 steps)"),
            ("online", None, None, "fql: 40.0 (after 200 + 200 steps)"),
        ],
    )
    def test_each_is_compared_by_itself(self, comparison, phase, offline, online, expected):
        assert texts(comparison, published(phase, offline, online)) == [expected]

    def test_a_score_of_the_other_phase_is_none(self, comparison):
        assert texts(comparison, published("offline")) == []
        assert texts(comparison, published("online", 200, 50)) == []  # evaluated at the end of the offline phase

    def test_runs_without_an_online_phase_are_of_no_number_with_one(self, make_run, tmp_path):
        make_run("fql", options={"online_steps": 0})
        assert not texts(compare(tmp_path), published("before"))
        assert not texts(compare(tmp_path), published("online"))


def test_tasks_of_other_lengths_are_told(make_run, tmp_path):
    make_run("fql", ONE, scores=(10.0,))
    make_run("fql", TWO, scores=(20.0, 40.0))
    score = replace(published(), group="both", tasks=(ONE, TWO))
    assert texts(compare(tmp_path), score) == ["fql: 25.0 (after 100 to 200 steps)"]
    assert texts(compare(tmp_path), replace(score, offline_steps=200)) == ["fql: 25.0 (after 100 to 200 steps)"]
    assert texts(compare(tmp_path), replace(score, offline_steps=100)) == ["fql: 15.0"]


def test_ours_have_the_published_options(make_run, tmp_path):
    task = "cube-triple-play-singletask-task1-v0"
    make_run("acfql", task, agent_options=CHUNKS, options={"online_steps": 100})
    ours = {(row[1], row[4]): row[3] for row in shown(compare(tmp_path))}
    half, end = (f"offline to online: then {steps} environment steps" for steps in ("500k", "1M"))
    assert ours["QC-FQL", end] == ours["QC-FQL", half] == "acfql: 60.0 (after 200 + 100 steps)"
    assert ours["QC-FQL", "offline to online: 1M updates offline"] == "acfql: 20.0 (after 200 steps)"
    assert ours["QC", end] == ours["FQL", end] == "—"


def test_long_runs_match_each_published_number_of_steps(make_run, tmp_path):
    task = "cube-triple-play-singletask-task1-v0"
    options = {"online_steps": 1_000_000}
    make_run("acfql", task, scores=(1.0, 2.0, 3.0, 4.0), every=500_000, agent_options=CHUNKS, options=options)
    ours = [row[3] for row in shown(compare(tmp_path)) if row[1] == "QC-FQL" and row[0] == task]
    assert ours == ["acfql: 2.0", "acfql: 3.0", "acfql: 4.0"]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (Steps(1_000_000, 0), "1M"),
        (Steps(40_000, 15_500), "40k + 15.5k"),
        (Steps(1_234_567, 999), "1,234,567 + 999"),
        (Steps(0, 1_500_000), "0 + 1.5M"),
    ],
)
def test_steps_in_short(steps, text):
    assert str(steps) == text


def test_groups_of_tasks_are_short_where_there_is_little_room(make_run, tmp_path):
    make_run("fql", "pen-human-v1", semantics={"suite": "d4rl"})
    names = {row[0].text: row[0].brief for row in tables.published(compare(tmp_path), published_scores(), "last").rows}
    assert names["{pen,door,hammer,relocate}-{human,cloned,expert}-v1"] == "{pen, ...}-{human, ...}-v1 (12 tasks)"
    assert names["pen-human-v1"] == "pen-human-v1"


def test_every_published_score_is_of_known_tasks_and_within_bounds():
    scores = published_scores()
    assert len(scores) > 400
    for score in scores:
        for task in score.tasks:
            resolve(task)
        assert np.isfinite(float(score.score))
        assert np.isfinite(float(score.spread or 0))
        assert score.source
        assert score.setting


def test_the_steps_of_published_scores_are_those_of_their_settings():
    for score in published_scores():
        assert score.phase in ("offline", "before", "online")
        assert score.online_steps is None or score.phase == "online"
        for steps, words in ((score.offline_steps, "updates"), (score.online_steps, "environment steps")):
            if words in score.setting:
                assert f"{Steps(steps, 0)} {words}" in score.setting
