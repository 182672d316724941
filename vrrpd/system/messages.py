"""pyroute2's rtnetlink messages, and nothing else of pyroute2.

Importing the package itself loads all of it: databases, generators, sockets for a dozen kernel interfaces, a
hundred modules, 7.5 MB and 35 ms, twice that with its marshal. The daemon needs four message classes. So the
package is entered in `sys.modules` without running its `__init__`, and its submodules are found below it as
ever; where pyroute2 is imported already, nothing happens here.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import struct
import sys
from collections.abc import Iterator
from typing import Any

NLMSG_ERROR, NLMSG_DONE = 2, 3


def _enter_package() -> None:
    """Make `pyroute2.x.y` importable without `pyroute2/__init__.py`."""
    if "pyroute2" in sys.modules:
        return
    spec = importlib.util.find_spec("pyroute2")
    if spec is None or spec.submodule_search_locations is None:
        return  # the imports below say what is missing
    shell = importlib.machinery.ModuleSpec("pyroute2", None, is_package=True)
    shell.submodule_search_locations = list(spec.submodule_search_locations)
    sys.modules["pyroute2"] = importlib.util.module_from_spec(shell)


_enter_package()

from pyroute2.netlink.exceptions import NetlinkDecodeError  # noqa: E402
from pyroute2.netlink.rtnl.fibmsg import fibmsg  # noqa: E402
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg  # noqa: E402
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg  # noqa: E402
from pyroute2.netlink.rtnl.rtmsg import rtmsg  # noqa: E402

__all__ = ["NLMSG_DONE", "NLMSG_ERROR", "decoded", "fibmsg", "ifaddrmsg", "ifinfmsg", "rtmsg", "split"]

# The kernel's number 17, which this pyroute2 does not name yet; its position in the table is its number.
if len(rtmsg.metrics.nla_map) == 17:
    rtmsg.metrics.nla_map += (("RTAX_FASTOPEN_NO_COOKIE", "uint32"),)

# RTM_NEWx, RTM_DELx and RTM_GETx are three consecutive numbers, four apart by subject.
_CLASS_OF = {16: ifinfmsg, 20: ifaddrmsg, 24: rtmsg, 32: fibmsg}


def split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, sequence, whole message) of each netlink message in a datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, _, sequence, _ = struct.unpack_from("=IHHII", data, offset)
        if length < 16:
            return
        yield kind, sequence, data[offset : offset + length]
        offset += (length + 3) & ~3


def flags_of(message: bytes) -> int:
    """nlmsg_flags (netlink(7))."""
    flags: int = struct.unpack_from("=H", message, 6)[0]
    return flags


def decoded(data: bytes) -> Iterator[Any]:
    """The messages about links, addresses, routes and rules in a datagram, as pyroute2 reads them."""
    for kind, _, message in split(data):
        class_of = _CLASS_OF.get(kind & ~3)
        if class_of is None:
            continue
        read = class_of(message)
        with contextlib.suppress(NetlinkDecodeError):  # an attribute of a kernel that pyroute2 does not know yet
            read.decode()
            yield read
