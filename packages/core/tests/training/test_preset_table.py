"""Tables of published settings: lookup by any name of the task, and tables that contradict themselves."""

import pytest

from offlow_core.option_checks import OptionError
from offlow_core.training.preset_table import PresetTable

HEADER = "env_name,agent.alpha,agent.q_agg,source\n"
CUBE = "cube-single-play-singletask-task2-v0,3.0,,A paper\n"
HOPPER = "hopper-medium-v2,1.0,mean,A README\n"


def read(tmp_path, text: str) -> PresetTable:
    file = tmp_path / "table.csv"
    file.write_text(text)
    return PresetTable.read(file, "published settings")


def test_an_empty_cell_leaves_the_default(tmp_path):
    table = read(tmp_path, HEADER + CUBE + HOPPER)
    assert table.settings("cube-single-play-singletask-task2-v0") == {"agent.alpha": "3.0"}
    assert table.settings("hopper-medium-v2") == {"agent.alpha": "1.0", "agent.q_agg": "mean"}
    assert table.sources["hopper-medium-v2"] == "A README"


def test_a_default_task_is_found_under_its_short_name(tmp_path):
    assert read(tmp_path, HEADER + CUBE).settings("cube-single-play-singletask-v0") == {"agent.alpha": "3.0"}


def test_changing_what_was_returned_leaves_the_table_as_it_was(tmp_path):
    table = read(tmp_path, HEADER + HOPPER)
    table.settings("hopper-medium-v2")["agent.alpha"] = "9"
    assert table.settings("hopper-medium-v2")["agent.alpha"] == "1.0"


def test_a_task_without_published_settings_names_near_ones(tmp_path):
    table = read(tmp_path, HEADER + HOPPER)
    with pytest.raises(OptionError, match=r"no published settings for 'hopper-medum-v2'; .*: hopper-medium-v2; leave"):
        table.settings("hopper-medum-v2")
    with pytest.raises(OptionError, match="no published settings for 'zzz'; leave --preset out"):
        table.settings("zzz")


def test_two_rows_for_one_task_are_refused(tmp_path):
    with pytest.raises(ValueError, match="hopper-medium-v2 has two rows"):
        read(tmp_path, HEADER + HOPPER + HOPPER)


@pytest.mark.parametrize("row", ["hopper-medium-v2,1.0,mean\n", "hopper-medium-v2,1.0,mean,A README,more\n"])
def test_a_row_of_another_length_is_refused(tmp_path, row):
    with pytest.raises(ValueError, match="hopper-medium-v2 has another number of cells than the header"):
        read(tmp_path, HEADER + row)
