"""What must hold between the studies that come with the core and a package: its commands and its published settings."""

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import ClassVar

from offlow_core.sweeps.catalogue import published_studies
from offlow_core.sweeps.expansion import Selection, expand_tables
from offlow_core.sweeps.study import StudyTable


class StudyBattery:
    """A package subclasses it in its tests."""

    command: ClassVar[ModuleType]
    """The module of the package's command, with `read` and `PROGRAM`."""
    package: ClassVar[str]
    """Its name under `packages/`."""
    published: ClassVar[Mapping[tuple[str, str], Iterable[str]]]
    """(preset, agent) -> the tasks that it has settings for."""

    def tables(self) -> list[StudyTable]:
        """Those whose jobs the package does."""
        tables = [table for study in published_studies().values() for table in study.tables.values()]
        return [table for table in tables if table.package == self.package]

    def test_every_job_is_a_command_that_the_package_reads(self):
        assert self.tables()
        for table in self.tables():
            for job in expand_tables([table], Selection(seeds=[3])):
                command = self.command.read([*job.words, "--save_dir=out", "--eval_workers=0", "--print_config"])
                assert job.command == self.command.PROGRAM
                assert f"--agent={command.variant}" in job.arguments
                assert f"--env_name={command.options.env_name}" in job.arguments
                assert (command.options.seed, command.options.num_seeds) == (3, 1)
                assert command.options.preset == (table.preset or "none")

    def test_every_published_row_is_in_a_table(self):
        covered = {
            (table.preset, agent, task) for table in self.tables() for agent in table.agents for task in table.tasks
        }
        rows = {(preset, agent, task) for (preset, agent), tasks in self.published.items() for task in tasks}
        assert rows - covered == set()
        # And the other way round, every table with a preset trains on tasks that it has settings for.
        with_settings = {(preset, task) for preset, _, task in rows}
        assert {(preset, task) for preset, _, task in covered if preset} - with_settings == set()
