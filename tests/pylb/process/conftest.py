"""Makes the helpers here, of tests/pylb/net and of tests/pylb/backend importable; whole processes run here, too."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "net"), str(HERE), str(HERE.parent / "backend")]
