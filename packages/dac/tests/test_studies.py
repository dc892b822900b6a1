"""The studies of `offlow reproduce` fit this package."""

from typing import ClassVar

import offlow_dac.main
from offlow_core.testing.study_battery import StudyBattery
from offlow_dac.presets import table

PRESETS = (("paper", "dac"),)


class TestStudies(StudyBattery):
    """The battery."""

    command = offlow_dac.main
    package = "dac"
    published: ClassVar = {pair: table(*pair).rows for pair in PRESETS}
