"""The studies of `offlow reproduce` fit this package."""

from typing import ClassVar

import offlow_sacflow.main
from offlow_core.testing.study_battery import StudyBattery
from offlow_sacflow.presets import table

PRESETS = (
    ("paper", "acfql"),
    ("paper_fql", "acfql"),
    ("paper", "chunk_flow_t"),
    ("paper", "chunk_flow_g"),
)


class TestStudies(StudyBattery):
    """The battery."""

    command = offlow_sacflow.main
    package = "sacflow"
    published: ClassVar = {pair: table(*pair).rows for pair in PRESETS}
