"""For the tests of all packages: what has to happen before any of their modules is imported."""

import pytest

from offlow_core.rendering import choose_gl_backend

pytest.register_assert_rewrite("offlow_core.testing")
choose_gl_backend()  # MuJoCo looks for its OpenGL backend when it is imported
