"""Makes the helpers of tests/pylb/net importable: these tests run whole processes, too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "net"))
