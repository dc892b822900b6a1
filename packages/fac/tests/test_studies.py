"""The studies of `offlow reproduce` fit this package."""

from typing import ClassVar

import offlow_fac.main
from offlow_core.testing.study_battery import StudyBattery
from offlow_fac.presets import table

PRESETS = (
    ("paper", "fac"),
    ("paper", "fql"),
    ("paper_online", "fql"),
)


class TestStudies(StudyBattery):
    """The battery."""

    command = offlow_fac.main
    package = "fac"
    published: ClassVar = {pair: table(*pair).rows for pair in PRESETS}
