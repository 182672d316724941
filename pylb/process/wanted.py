"""What only some configurations need, and what is slow to import: a fifth of a start that needs none of it.

It is imported by the master before its first fork, so that all processes share it, and by whoever prepares a generation
that needs more: in any case before chroot hides it, and before the first request or check would wait for it.
"""

from __future__ import annotations

from importlib import import_module

from pylb.config.model import Config


def import_wanted(config: Config) -> None:
    """Import what `config` asks for."""
    if any(backend.check.kind == "http" for backend in config.backends):
        import_module("pylb.net.http_answers")  # h11
    if _has_certificates(config) or _loses_sight(config):
        import_module("pylb.admin.control.certificate_details")  # cryptography


def _has_certificates(config: Config) -> bool:
    binds = (bind.tls for frontend in config.frontends for bind in frontend.binds)
    servers = (server.tls for backend in config.backends for server in backend.servers)
    return any(tls is not None for tls in binds) or any(tls is not None and tls.certificate for tls in servers)


def _loses_sight(config: Config) -> bool:
    """Later nothing can be imported any more, and an operator may bring the first certificate."""
    asked = config.globals
    return any(each is not None for each in (asked.chroot, asked.user, asked.group, asked.uid, asked.gid))
