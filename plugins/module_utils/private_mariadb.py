# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MariaDB of one's own for an hour: its data and its socket in a private directory, nothing of the system's own server.

It has no port, unless one is asked for: Seafile 12 and newer cannot name a socket in its configuration.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.mysql_client import Client, Login, find_program
from ansible_collections.seafleet.seafile.plugins.module_utils.program_output import read_back

DATA, SOCKET, PID, LOG = "mysql", "mysql.sock", "mysql.pid", "mysql.log"
_SERVER = ("mariadbd", "mysqld")
_INSTALL = ("mariadb-install-db", "mysql_install_db")
_PURPOSE = "restore MySQL databases into a database server of their own"
_LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path (sun_path in unix(7))."""
_SECONDS_TO_START = 120
_SECONDS_TO_STOP = 120
_KEPT_OF_LOG = 400


def socket_path(place: str) -> str:
    """Return the path of the socket in the directory I(place).

    :raises SeafileError: C(path-invalid) when it is longer than a socket's path can be.
    """
    path = os.path.join(place, SOCKET)
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        raise SeafileError("path-invalid", place, f"a socket in it would have a path of more than {_LONGEST_SOCKET} bytes", "give a shorter directory")
    return path


def account() -> str:
    """Return the name of the account that runs this, the only one that the server lets in without a password, through its socket."""
    return pwd.getpwuid(os.geteuid()).pw_name


def _run(argv: t.Sequence[str], what: str, log: t.IO[bytes]) -> None:
    # this file is called without an AnsibleModule, so there is no run_command here
    done = subprocess.run(  # pylint: disable=ansible-bad-function
        argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, LC_ALL="C"), check=False)
    if done.returncode:
        raise SeafileError("private-database-failed", what, f"{os.path.basename(argv[0])} ended with exit code {done.returncode}{_said(log)}")


def _said(log: t.IO[bytes]) -> str:
    words = " ".join(read_back(log).read().decode("utf-8", "replace").split())
    return f": ...{words[-_KEPT_OF_LOG:]}" if words else ""


def free_port() -> int:
    """Return a TCP port of this machine's loopback at which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return t.cast(int, probe.getsockname()[1])


def start(place: str, port: int = 0) -> str:
    """Make a database server in the private directory I(place) and start it; return its socket.

    :arg port: the port of the loopback at which it also listens; 0: none.
    :raises SeafileError: C(missing-tool), C(path-invalid), C(private-database-failed).
    """
    path = socket_path(place)
    server, install = find_program(_SERVER, _PURPOSE), find_program(_INSTALL, _PURPOSE)
    data = os.path.join(place, DATA)
    os.mkdir(data, 0o700)
    with open(os.path.join(place, LOG), "w+b") as log:
        os.fchmod(log.fileno(), 0o600)
        user = [f"--user={account()}"]
        _run([install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=socket",
              f"--auth-root-socket-user={account()}", "--skip-test-db", *user], place, log)
        argv = [server, "--no-defaults", f"--datadir={data}", f"--socket={path}", f"--pid-file={os.path.join(place, PID)}",
                *(["--bind-address=127.0.0.1", f"--port={port}"] if port else ["--skip-networking"]),
                "--skip-log-bin", "--character-set-server=utf8mb4", "--max-allowed-packet=1G",
                # nothing here has to outlive a power loss
                "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite", *user]
        # a session of its own: it must outlive this module, and no terminal's signals may reach it
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=dict(os.environ, LC_ALL="C"), start_new_session=True)
        client = Client(login(place))
        end = time.monotonic() + _SECONDS_TO_START
        while True:
            with contextlib.suppress(SeafileError):
                client.value("1")
                return path
            if process.poll() is not None or time.monotonic() > end:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                raise SeafileError("private-database-failed", place, f"{os.path.basename(server)} does not answer{_said(log)}")
            time.sleep(0.1)


def login(place: str) -> Login:
    """Return how the server in I(place) is reached."""
    return Login(user=account(), unix_socket=os.path.join(place, SOCKET))


def pid(place: str) -> int | None:
    """Return the process id of the server that works in I(place), None when there is none.

    The file of the id may be older than the last boot: the process must have its data open there.
    """
    try:
        with open(os.path.join(place, PID), encoding="ascii") as stream:
            number = int(stream.read())
        with open(f"/proc/{number}/cmdline", "rb") as stream:
            arguments = stream.read().split(b"\0")
    except (OSError, ValueError):
        return None
    return number if os.fsencode(f"--datadir={os.path.join(place, DATA)}") in arguments else None


def stop(place: str) -> bool:
    """Stop the server in I(place); return whether there was one.

    :raises SeafileError: C(private-database-failed) when it does not end.
    """
    number = pid(place)
    if number is None:
        return False
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, sent)
        end = time.monotonic() + _SECONDS_TO_STOP
        while pid(place) is not None:
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        else:
            return True
    raise SeafileError("private-database-failed", place, f"process {number} does not end", "end it by hand, then run again")
