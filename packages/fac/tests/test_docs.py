"""The documentation names code that exists and commands that work."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from offlow_core.training.command_line import parse
from offlow_fac.config import VARIANTS
from offlow_fac.presets import preset
from offlow_fac.quickstart import SETTINGS, TASK

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT / "packages/fac/src/offlow_fac", ROOT / "packages/core/src/offlow_core"]
REFERENCES = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs/fac.md").read_text())
COMMANDS = re.findall(
    r"^uv run --package offlow-fac (?:--extra \w+ )?fac (--.*)$", (ROOT / "README.md").read_text(), re.M
)
LINKS = [
    (page, link)
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
]


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_code_that_the_equation_table_names_exists(file: str, name: str):
    path = next(folder / file for folder in SOURCES if (folder / file).exists())
    assert name in {node.name for node in ast.parse(path.read_text()).body if hasattr(node, "name")}


def test_the_equation_table_names_code():
    assert len(REFERENCES) > 10


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_parse(command: str):
    parse(shlex.split(command), program="fac", variants=VARIANTS, default_variant="fac", preset=preset)


def test_the_quickstart_parses():
    words = [f"--env_name={TASK}", *SETTINGS]
    command = parse(words, program="fac", variants=VARIANTS, default_variant="fac", preset=preset)
    assert command.options.offline_steps == 50_000


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_lead_somewhere(page: Path, link: str):
    assert (page.parent / link).exists()
