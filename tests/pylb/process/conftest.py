"""Makes the helpers here and of tests/pylb/net importable: these tests run whole processes, too."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "net"), str(Path(__file__).parent)]
