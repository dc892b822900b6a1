"""The documentation names code that exists and commands that work."""

from pathlib import Path

import offlow_sacflow.main
from offlow_core.testing.docs_battery import DocsBattery


class TestDocs(DocsBattery):
    """The battery."""

    command = offlow_sacflow.main
    root = Path(__file__).parents[3]
    page = "docs/sacflow.md"
    least_commands = 5
