"""The documentation names code that exists and commands that work."""

from pathlib import Path

import pytest

from offlow_core.testing.docs import commands, defines, references
from offlow_core.training.command_line import parse
from offlow_diffusion_ql.config import VARIANTS
from offlow_diffusion_ql.presets import preset

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT / "packages/diffusion_ql/src/offlow_diffusion_ql", ROOT / "packages/core/src/offlow_core"]
PAGES = [ROOT / "README.md", ROOT / "docs/diffusion_ql.md"]
REFERENCES = references(ROOT / "docs/diffusion_ql.md")
COMMANDS = [words for page in PAGES for words in commands(page, "offlow-diffusion-ql", "diffusion-ql")]


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_code_that_the_equation_table_names_exists(file: str, name: str):
    assert defines(SOURCES, file, name)


def test_the_pages_name_code_and_show_commands():
    assert len(REFERENCES) > 10
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_parse(words: list[str]):
    parse(words, program="diffusion-ql", variants=VARIANTS, default_variant="diffusion_ql", preset=preset)
