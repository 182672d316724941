"""Makes tests/support.py importable from every test directory."""

import sys
from pathlib import Path

# The repository comes first: tests/pylb would otherwise pass for the package, when the package is installed editable.
sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]
