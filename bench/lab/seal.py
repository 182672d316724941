"""Make everything that is mounted read-only, for the calling mount namespace: `python -IS seal.py`.

mount(8) does this to a whole tree (`-o ro=recursive`) only since util-linux 2.39. Whoever calls it mounts file systems
of its own over what it wants to write to.
"""

import ctypes
import os
import struct
import sys

MOUNT_SETATTR = 442
"""mount_setattr(2), the same number on every architecture; Linux 5.12."""
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1


def seal() -> None:
    """OSError if the kernel does not do it."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)  # set, clear, propagation, user namespace
    if libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, len(attributes)):
        raise OSError(ctypes.get_errno(), f"mount_setattr: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    try:
        seal()
    except OSError as error:
        sys.exit(f"the machine's files cannot be made read-only: {error.strerror}")
