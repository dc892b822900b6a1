"""The documentation names code that exists and commands that work."""

from pathlib import Path

import offlow_diffusion_ql.main
from offlow_core.testing.docs_battery import DocsBattery


class TestDocs(DocsBattery):
    """The battery."""

    command = offlow_diffusion_ql.main
    root = Path(__file__).parents[3]
    page = "docs/diffusion_ql.md"
    least_commands = 6
