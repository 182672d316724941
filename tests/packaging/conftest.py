"""Puts this directory on the path, so that its tests find systemd_host.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
