"""The documentation names code that exists and commands that work."""

from pathlib import Path

import pytest

from offlow_core.testing.docs import commands, defines, links, references
from offlow_core.training.command_line import parse
from offlow_fac.config import VARIANTS
from offlow_fac.presets import preset
from offlow_fac.quickstart import SETTINGS, TASK

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT / "packages/fac/src/offlow_fac", ROOT / "packages/core/src/offlow_core"]
REFERENCES = references(ROOT / "docs/fac.md")
LINKS = links([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_code_that_the_equation_table_names_exists(file: str, name: str):
    assert defines(SOURCES, file, name)


def test_the_equation_table_names_code():
    assert len(REFERENCES) > 10


@pytest.mark.parametrize("words", commands(ROOT / "README.md", "offlow-fac", "fac"))
def test_commands_of_the_readme_parse(words: list[str]):
    parse(words, program="fac", variants=VARIANTS, default_variant="fac", preset=preset)


def test_the_quickstart_parses():
    words = [f"--env_name={TASK}", *SETTINGS]
    command = parse(words, program="fac", variants=VARIANTS, default_variant="fac", preset=preset)
    assert command.options.offline_steps == 50_000


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_lead_somewhere(page: Path, link: str):
    assert (page.parent / link).exists()
