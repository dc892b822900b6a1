"""What several test modules share."""

from offlow_core.rendering import choose_gl_backend

choose_gl_backend()  # before anything imports MuJoCo
