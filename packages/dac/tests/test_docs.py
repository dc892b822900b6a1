"""The documentation names code that exists and commands that work."""

from pathlib import Path

import offlow_dac.main
from offlow_core.testing.docs_battery import DocsBattery


class TestDocs(DocsBattery):
    """The battery."""

    command = offlow_dac.main
    root = Path(__file__).parents[3]
    page = "docs/dac.md"
    least_commands = 2
