"""What all `offlow` commands share."""

import pytest

from offlow_core.command import main


@pytest.mark.parametrize(
    "words", [["--task", "cube-*", "--task=door-*"], ["--agent=fac", "--agent", "fql"], ["--seeds=1", "--seeds=2"]]
)
def test_values_of_an_option_that_is_given_twice_are_not_forgotten(words, capsys):
    name = words[0].partition("=")[0]
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "dac", *words, "--dry_run"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert f"offlow reproduce: error: {name} is given 2 times; name all its values behind one: {name} A B" in told.err
    assert told.out == ""


def test_options_that_are_made_for_it_may_be_given_several_times(tmp_path, capsys):
    words = ["--task=hopper-medium-v2", "--agent", "da*", "--num_seeds=1", "--set=T=3", "--set=tau=0.1"]
    main(["reproduce", "dac", *words, f"--out={tmp_path}", "--environment=current", "--dry_run"])
    (line,) = capsys.readouterr().out.splitlines()
    assert "--agent=dac " in line
    assert "--T=3 --tau=0.1" in line
