"""pylb: an L7 load balancer that reads HAProxy's configuration and behaves as HAProxy documents it."""

__version__ = "0.1.0"
RELEASE_DATE = "2026/11/26"
"""Of this version, as `show info` has it."""
