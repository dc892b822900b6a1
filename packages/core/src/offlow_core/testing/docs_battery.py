"""What every package's documentation must do: name code that exists and show commands that work."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from offlow_core.testing.docs import commands, defines, references


class DocsBattery:
    """A package subclasses it in its tests."""

    command: ClassVar[ModuleType]
    """The module of the package's command, with `read` and `PROGRAM`."""
    root: ClassVar[Path]
    """Of the repository."""
    page: ClassVar[str]
    """The package's page, which has a table of the paper's equations and the code of each."""
    further_pages: ClassVar[Sequence[str]] = ("README.md",)
    """Other pages with its commands."""
    least_references: ClassVar[int] = 11
    """How much code the page names at least."""
    least_commands: ClassVar[int]
    """How many commands all pages show at least."""

    @classmethod
    def pages(cls) -> list[Path]:
        """All pages."""
        return [cls.root / name for name in (cls.page, *cls.further_pages)]

    @classmethod
    def shown_commands(cls) -> list[list[str]]:
        """The words of every command that the pages show."""
        distribution = cls.command.__name__.partition(".")[0].replace("_", "-")
        return [words for page in cls.pages() for words in commands(page, distribution, cls.command.PROGRAM)]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise by what the pages say."""
        if "code" in metafunc.fixturenames:
            metafunc.parametrize(("file", "code"), references(self.root / self.page))
        if "words" in metafunc.fixturenames:
            metafunc.parametrize("words", self.shown_commands())

    def test_code_that_the_equation_table_names_exists(self, file, code):
        module = self.command.__name__.partition(".")[0]
        packages = self.root / "packages"
        sources = [packages / module.removeprefix("offlow_") / "src" / module, packages / "core/src/offlow_core"]
        assert defines(sources, file, code)

    def test_the_pages_name_code_and_show_commands(self):
        assert len(references(self.root / self.page)) >= self.least_references
        assert len(self.shown_commands()) >= self.least_commands

    def test_commands_parse(self, words):
        self.command.read(words)
