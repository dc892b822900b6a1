"""Links between the pages of the documentation."""

from pathlib import Path

import pytest

from offlow_core.testing.docs import links

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("page", "link"), links([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]))
def test_links_lead_somewhere(page, link):
    assert (page.parent / link).exists()
