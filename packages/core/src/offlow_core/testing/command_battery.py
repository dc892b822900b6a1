"""What every package's command must do before anything is trained: import late, print, read presets, refuse."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

import pytest

from offlow_core.testing.commands import BACKENDS, HEAVY, assert_imports_late, in_new_process, refusal
from offlow_core.training.option_json import from_json, to_json, to_text
from offlow_core.training.options import RunOptions

_PRINTED = """
import sys
from {module} import main
status = main({words} + ["--print_config"])
heavy = {heavy} & set(sys.modules)
assert status == 0 and not heavy, (status, heavy)
"""


class CommandBattery:
    """A package subclasses it in its tests; see `RunBattery` for what its command does when it trains."""

    command: ClassVar[ModuleType]
    """The module of the package's command, with `main`, `read` and `VARIANTS`."""
    backend: ClassVar[str]
    """jax or torch."""
    printed: ClassVar[Sequence[str]]
    """Words whose configuration is printed."""
    published: ClassVar[Mapping[tuple[str, str], Iterable[str]]]
    """(preset, variant) -> the tasks that it has settings for."""
    wrong: ClassVar[Sequence[tuple[str, str]]]
    """Wrong command lines, and a part of what is said about each."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise by what the subclass says."""
        if "wrong_line" in metafunc.fixturenames:
            metafunc.parametrize(("wrong_line", "message"), self.wrong)
        if "published_preset" in metafunc.fixturenames:
            metafunc.parametrize(("published_preset", "variant"), self.published)

    @pytest.fixture(scope="class")
    @classmethod
    def printed_config(cls) -> dict[str, Any]:
        """What `--print_config` prints, in a process that then has imported nothing that takes seconds."""
        script = _PRINTED.format(module=cls.command.__name__, words=list(cls.printed), heavy=HEAVY)
        return json.loads(in_new_process(script))

    def test_a_configuration_is_printed_without_backend_or_simulator(self, printed_config):
        assert printed_config == json.loads(to_text(self.command.read(self.printed).options))

    def test_the_command_imports_its_backend_late(self):
        assert_imports_late(self.command.__name__)

    @pytest.mark.skipif("OFFLOW_ISOLATED" not in os.environ, reason="only this package's own environment is bare")
    def test_the_other_backend_is_not_installed(self):
        assert [name for name in BACKENDS if find_spec(name)] == [self.backend]

    def test_every_published_row_makes_valid_options(self, published_preset, variant):
        tasks = list(self.published[published_preset, variant])
        assert tasks
        for task in tasks:
            command = self.command.read([f"--preset={published_preset}", f"--env_name={task}", f"--agent={variant}"])
            assert command.variant == variant
            assert isinstance(command.options, self.command.VARIANTS[variant])
            assert from_json(self.command.VARIANTS, to_json(command.options)) == command.options
            self.check_published(published_preset, variant, command.options)

    def check_published(self, preset: str, variant: str, options: RunOptions) -> None:
        """What else holds for the options of every task that a preset has."""

    def test_wrong_words_end_with_what_to_do(self, wrong_line, message, capsys):
        assert message in refusal(self.command.main, wrong_line.split(), capsys)
