"""HAProxy's command language for the admin socket (management manual, 9.3), without a socket in it.

    session      the line protocol: bytes in, commands out; answers in, bytes out
    registry     one row per command: its words, level, kind, help; finding and running them
    the rest     a small file per family of commands, each function one command

A command is a plain function `(session, world, words, payload) -> bytes`: what stands behind the command's own words,
and its payload. It raises Refused for what cannot be done. Its kind (registry.Kind) tells where it runs if several
processes serve.
"""

from importlib import import_module

FAMILIES = (
    "connection", "show_info", "show_stat", "show_servers", "show_errors", "servers", "frontends", "sessions", "tables",
    "patterns", "certificates", "crt_lists", "additions", "tracing",
)  # fmt: skip
"""The modules with commands."""


def load() -> None:
    """Fill the registry."""
    for family in FAMILIES:
        import_module(f"{__name__}.{family}")
