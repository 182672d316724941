"""Makes the helper modules of this directory and of tests/pylb/net importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "net")]
