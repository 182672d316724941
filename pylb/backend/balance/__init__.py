"""Balance algorithms (manual: `balance`): one algorithm, one file, found by keyword in ALGORITHMS."""

from pylb.backend.balance import first, hashed, leastconn, random, roundrobin, static_rr
from pylb.backend.balance.base import ALGORITHMS, Algorithm, Settings

__all__ = ["ALGORITHMS", "Algorithm", "Settings", "first", "hashed", "leastconn", "random", "roundrobin", "static_rr"]
