"""What a daemon sheds at its start: its terminal, the file system, root (manual: daemon, chroot, user, group).

Order matters: sockets and logs are open by now; chroot comes before setuid, which ends the right to it; capabilities go
last.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import resource
from collections.abc import Callable
from dataclasses import dataclass

from pylb.config.model import Config, Global
from pylb.process import capabilities, kernel
from pylb.process.capabilities import Capability


class StartError(Exception):
    """The process cannot start as configured; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process in the background whose starter still waits."""

    null: int
    """A descriptor of /dev/null: a chroot may have none."""
    serves: Callable[[], None]
    """Lets the starter go, with success."""


def daemonize() -> Daemon:
    """Go on in the background, in a session of its own, until which the first process waits for `serves`.

    Errors still reach the terminal until then: whoever starts it learns by the exit status whether it runs, and finds
    the pid file written. Afterwards standard streams are /dev/null.
    """
    null = os.open(os.devnull, os.O_RDWR)
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        if os.read(reader, 1):
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os._exit(status if status > 0 else 1)
    os.close(reader)
    os.setsid()

    def serves() -> None:
        silence(null)
        os.write(writer, b"!")
        os.close(writer)

    return Daemon(null, serves)


def silence(null: int) -> None:
    """Standard streams lead nowhere from now on."""
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def raise_file_limit(wanted: int) -> int:
    """Have room for so many descriptors; the limit in force afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        ceiling = wanted if hard == resource.RLIM_INFINITY or os.geteuid() == 0 else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, max(hard, ceiling)))
        except (OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft


def restrict_master(config: Config) -> None:
    """Have the master keep what reloads may need and nothing else; root that shall stay root keeps everything."""
    kernel.forbid_new_privileges()
    if os.geteuid() != 0 or _becomes_another(config.globals):
        _keep(capabilities.of_master(config))


def drop(settings: Global) -> list[str]:
    """chroot, then group, then user, then all capabilities, for a steward and its workers.

    Returns remarks; raises StartError where security would not be as configured.
    """
    remarks: list[str] = []
    uid, gid = _user(settings), _group(settings)
    if settings.chroot is not None:
        _change_root(settings.chroot)
    if os.geteuid() != 0:
        if (uid is not None and uid != os.geteuid()) or (gid is not None and gid != os.getegid()):
            remarks.append("user and group are not changed: that needs root")
    elif uid or gid:
        if uid:
            kernel.limit_bounding_set(0)  # takes CAP_SETPCAP, which goes with the user
        _become(uid, gid)
    kernel.forbid_new_privileges()
    if os.geteuid() != 0:
        _keep(0)
    return remarks  # root stays root, also where only that one user exists, as in a user namespace


def _becomes_another(settings: Global) -> bool:
    try:
        return bool(_user(settings))
    except StartError:
        return True  # which the steward tells of


def _keep(kept: int) -> None:
    try:
        capabilities.keep(kept)
    except OSError as error:
        raise StartError(f"cannot give up capabilities: {error.strerror}") from error


def _change_root(path: str) -> None:
    try:
        os.chroot(path)
        os.chdir("/")
    except OSError as error:
        lacking = capabilities.lacking(Capability.CAP_SYS_CHROOT)
        takes = f" (that takes {lacking})" if lacking else ""
        raise StartError(
            f'cannot chroot to "{path}": {error.strerror}{takes}; start as root or remove chroot'
        ) from error


def _become(uid: int | None, gid: int | None) -> None:
    try:
        if os.getgroups():
            os.setgroups([])
        if gid is not None:
            os.setgid(gid)
        if uid is not None:
            os.setuid(uid)
    except OSError as error:
        lacking = capabilities.lacking(Capability.CAP_SETUID, Capability.CAP_SETGID)
        if lacking:
            why = f"; that takes {lacking}: start with it, or as that user and without user and group"
        elif error.errno == errno.EINVAL:
            why = "; this user namespace does not have them: /proc/self/uid_map and gid_map list what it has"
        else:
            why = ""
        raise StartError(f"cannot change to user {uid} and group {gid}: {error.strerror}{why}") from error


def _user(settings: Global) -> int | None:
    if settings.user is None:
        return settings.uid
    try:
        return pwd.getpwnam(settings.user).pw_uid
    except KeyError:
        raise StartError(f'there is no user "{settings.user}": create it or change the user line') from None


def _group(settings: Global) -> int | None:
    if settings.group is None:
        return settings.gid
    try:
        return grp.getgrnam(settings.group).gr_gid
    except KeyError:
        raise StartError(f'there is no group "{settings.group}": create it or change the group line') from None
