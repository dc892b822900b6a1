"""The documentation names code that exists and commands that work."""

from pathlib import Path

import offlow_fac.main
from offlow_core.testing.docs_battery import DocsBattery
from offlow_fac.quickstart import SETTINGS, TASK


class TestDocs(DocsBattery):
    """The battery."""

    command = offlow_fac.main
    root = Path(__file__).parents[3]
    page = "docs/fac.md"
    least_commands = 3


def test_the_quickstart_parses():
    command = offlow_fac.main.read([f"--env_name={TASK}", *SETTINGS])
    assert command.options.offline_steps == 50_000
