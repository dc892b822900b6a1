"""Puts the module that these tests share where they can import it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
