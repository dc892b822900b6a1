"""The studies of `offlow reproduce` fit this package."""

from typing import ClassVar

import offlow_diffusion_ql.main
from offlow_core.testing.study_battery import StudyBattery
from offlow_diffusion_ql.presets import table


class TestStudies(StudyBattery):
    """The battery."""

    command = offlow_diffusion_ql.main
    package = "diffusion_ql"
    published: ClassVar = {("paper", "diffusion_ql"): table().rows}
