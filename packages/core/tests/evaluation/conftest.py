"""Puts the toy environments where this process and the worker processes that it starts can import them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
