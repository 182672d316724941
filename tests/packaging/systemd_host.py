"""A real systemd as the first process of namespaces of its own, with our units and nothing else to start.

/opt/pylb is put together from this installation, so that the units run as they stand: their sandbox hides /tmp and
/home, where a checkout may be. Nothing is left when the first process dies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from support import require_program, skip_or_fail, wait_for

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = "/lib/systemd/systemd"

CGROUP = f"lab-{os.getpid()}"
GROUP = """
set -e
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
ENTER = f"""{GROUP}
mkdir /sys/fs/cgroup/{CGROUP} && echo $$ > /sys/fs/cgroup/{CGROUP}/cgroup.procs
exec unshare -mpfCnu --propagation private --mount-proc --kill-child sh -c "$BOOT"
"""
LEAVE = f"""{GROUP}
for _ in 1 2 3 4 5; do
    find /sys/fs/cgroup/{CGROUP} -depth -type d -exec rmdir {{}} + 2>/dev/null && break
    sleep 0.2
done
"""
"""What systemd has made below its control group goes with it."""

BOOT = """
set -e
umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/source /run/site /run/python
mount --bind "$ROOT" /run/source && mount --bind "$SITE" /run/site && mount --bind "$PYTHON" /run/python
for place in {early}; do mount -t tmpfs tmpfs $place; done
mkdir -p /opt/pylb/bin /opt/pylb/source /opt/pylb/site /opt/pylb/python
for name in source site python; do mount --move /run/$name /opt/pylb/$name; done
mount -t tmpfs tmpfs /run && mkdir /run/lock /run/lab
mount -t tmpfs tmpfs /tmp
for name in pylb vrrpd; do
    printf '#!/opt/pylb/python/bin/%s\\nimport sys\\nfrom %s.cli import main\\nsys.exit(main())\\n' "$NAME" $name \\
        > /opt/pylb/bin/$name
    chmod 755 /opt/pylb/bin/$name
    echo 'PYTHONPATH=/opt/pylb/source:/opt/pylb/site' > /etc/default/$name
    echo "CONFIG=/run/lab/$name.toml" >> /etc/default/$name
    echo "LD_LIBRARY_PATH=/opt/pylb/python/lib" >> /etc/default/$name
done
cp /opt/pylb/source/configs/systemd/*.service /opt/pylb/source/configs/systemd/*.socket /etc/systemd/system/
printf '[Unit]\\nDescription=nothing but what is started\\n' > /etc/systemd/system/lab.target
hostname lab && ip link set lo up
ip link add ens37 type veth peer name other && ip link set ens37 up && ip link set other up
ip addr add 172.16.10.100/24 dev ens37
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    {systemd} --unit=lab.target --show-status=0 --log-target=null
"""


class Host:
    """The machine; `run` is a command on it."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            skip_or_fail("needs root")
        require_program("systemctl")
        environment = {
            **os.environ,
            "ROOT": str(ROOT),
            "SITE": sysconfig.get_paths()["purelib"],
            "PYTHON": sys.base_prefix,
            "BOOT": BOOT.format(early="/etc/systemd/system /etc/default /opt", systemd=SYSTEMD),
            "NAME": Path(sys.executable).resolve().name,
        }
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", ENTER]
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        self._first = 0
        try:
            wait_for(self._up, timeout=60)
        except AssertionError:
            self._process.kill()
            said = self._process.communicate()[1]
            skip_or_fail(f"systemd does not start here: {said}")

    def _up(self) -> bool:
        pid = self._process.pid
        if self._process.poll() is not None:
            return False
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._first = int(children[0]) if children else 0
        return bool(self._first) and self.run("systemctl", "is-active", "lab.target").stdout == "active\n"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Its outcome, with what it said."""
        inside = ["nsenter", "-t", str(self._first), "-a", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)

    def write(self, path: str, text: str) -> None:
        """A file on it."""
        inside = ["nsenter", "-t", str(self._first), "-a", "sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1"', "-", path]
        subprocess.run(inside, input=text, text=True, check=True)

    def systemctl(self, *words: str) -> str:
        """What systemctl says; AssertionError with the unit's own words when it fails."""
        done = self.run("systemctl", "--no-pager", *words)
        assert done.returncode == 0, done.stderr + self.run("systemctl", "--no-pager", "status", words[-1]).stdout
        return done.stdout

    def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "-P", what, unit).strip()

    def close(self) -> None:
        """Nothing of it is left."""
        self._process.kill()
        self._process.communicate(timeout=30)
        subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", LEAVE], check=True, timeout=30)
