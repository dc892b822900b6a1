"""The studies of `offlow reproduce` fit this package."""

from typing import ClassVar

import offlow_deflow.main
from offlow_core.testing.study_battery import StudyBattery
from offlow_deflow.presets import table

PRESETS = (
    ("paper", "deflow"),
    ("paper_online", "deflow"),
    ("paper", "deflowvf"),
    ("paper_online", "deflowvf"),
    ("paper", "floq"),
    ("paper_best", "floq"),
    ("paper_online", "floq"),
)


class TestStudies(StudyBattery):
    """The battery."""

    command = offlow_deflow.main
    package = "deflow"
    published: ClassVar = {pair: table(*pair).rows for pair in PRESETS}
