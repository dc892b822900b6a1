"""For all tests of the core: MuJoCo must find its OpenGL backend chosen when the first test module imports it."""

from offlow_core.rendering import choose_gl_backend

choose_gl_backend()
