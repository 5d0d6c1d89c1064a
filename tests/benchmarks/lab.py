# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Seafile server and a backup host on one machine, and what a run costs on both together.

All that the benchmark starts is below this process: an sshd and a MariaDB of its own, the commands, and what those leave behind
(this process adopts it). So one sum over the processes below it is the cost of both ends. They talk through the loopback of a
network namespace of their own, whose counter is what went over the net; the databases are behind a Unix socket and do not count.
"""

from __future__ import annotations

import ctypes
import fcntl
import getpass
import itertools
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

import measure

DATABASES = ("ccnet-db", "seafile-db", "seahub-db")
START = "start and end"
"""What is before the first stage and after the last one."""
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.1
MOST_SECONDS = 4 * 3600
"""A command that takes longer hangs, and is killed."""
SETTLE_SECONDS = 60
FORGETTING_SECONDS = 310
"""ext4 avoids inodes that were deleted in the last 300 seconds."""
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
"""The system's own, as on a server; others may be built without optimization."""
HERE = pathlib.Path(__file__).resolve().parent
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP

_SSHD = """ListenAddress 127.0.0.1
Port {port}
HostKey {lab}/host_key
PidFile none
AuthorizedKeysFile {lab}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers {user}
MaxStartups 200
MaxSessions 200
Subsystem sftp internal-sftp
"""
_SSH = """Host *
HostName 127.0.0.1
Port {port}
User {user}
IdentityFile {lab}/admin_key
IdentitiesOnly yes
UserKnownHostsFile {lab}/known_hosts
HostKeyAlias benchmark
StrictHostKeyChecking yes
LogLevel ERROR
"""


class Cost(t.NamedTuple):
    """Of one run or stage, both ends together.

    Seconds on the clock, seconds of CPU, those of the command and its children alone, bytes of memory at the highest sample (without
    MariaDB), bytes over the net, connections that sshd accepted, how many of them with the key that only reads, and, where it was
    counted, system calls.
    """

    wall: float
    cpu: float
    own: float = 0.0
    memory: int = 0
    net: int = 0
    connections: int = 0
    pulls: int = 0
    calls: int | None = None

    def plus(self, other: Cost) -> Cost:
        """Of two stages together."""
        counted = None if self.calls is None or other.calls is None else self.calls + other.calls
        return Cost(self.wall + other.wall, self.cpu + other.cpu, 0.0, max(self.memory, other.memory), self.net + other.net, calls=counted)


class Run(t.NamedTuple):
    """The cost of a run, that of its stages (none but of a playbook), and what a playbook did for each server."""

    cost: Cost
    stages: dict[str, Cost]
    executed: dict[str, int]
    skipped: dict[str, int]


class _Look(t.NamedTuple):
    """The clocks at one moment."""

    wall: float
    cpu: float
    net: int


def own_network() -> bool:
    """Give this process a network in which nobody else is; False where the system does not let it."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK):
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", struct.unpack("16sh14x", request)[1] | _UP))
    return True


def net_bytes() -> int:
    """What has come through the loopback since it is up: payload, the headers of TCP and IP, acknowledgements."""
    with open("/proc/self/net/dev", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.lstrip().startswith("lo:"))


def cpu_seconds(ignored: t.Container[int] = ()) -> float:
    """CPU of all that has ever run below this process: of what has ended, and of what lives with the ended children of that."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = usage.ru_utime + usage.ru_stime
    for pid in measure.family(os.getpid())[1:]:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
                fields = stream.read().rpartition(")")[2].split()
        except OSError:
            continue
        if pid not in ignored:
            result += sum(map(int, fields[11:15])) / TICKS
    return result


def counter() -> str | None:
    """The program that can count system calls here: perf is cheap, strace works in more places; both need root to look at others."""
    probe = {"perf": ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"], "strace": ["strace", "-c", "true"]}
    if os.geteuid() == 0:
        for name, argv in probe.items():
            if shutil.which(name) and not subprocess.run(argv, capture_output=True, check=False).returncode:
                return name
    return None


class Counter:
    """Counts the system calls of all that is below this process when it begins, and of all that those start."""

    def __init__(self, program: str, path: str) -> None:
        self.program, self.path = program, path
        pids = [str(pid) for pid in measure.family(os.getpid())[1:]]
        if program == "perf":
            argv = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", path, "-p", ",".join(pids)]
        else:
            argv = ["strace", "-f", "-c", "-o", path, *(part for pid in pids for part in ("-p", pid))]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)  # until it holds them all; neither says so

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        with open(self.path, encoding="utf-8") as stream:
            text = stream.read()
        if self.program == "perf":
            return sum(int(line.split(",")[0]) for line in text.splitlines() if "raw_syscalls" in line)
        return sum(int(line.split()[3]) for line in text.splitlines() if line.endswith(" total"))


class Lab:
    """The sshd, the databases, and one run after another. To be used in C(with)."""

    def __init__(self, directory: str) -> None:
        self.directory = os.path.realpath(directory)  # all deployments and backups; what the key that only reads may read
        self.path = tempfile.mkdtemp(prefix="benchmark-")  # short: sockets' paths may have 107 characters
        self.database_socket = os.path.join(self.path, "mysql.sock")
        self.ssh_config = os.path.join(self.path, "ssh_config")
        self.log = os.path.join(self.path, "sshd.log")
        self.counter = counter()
        self.alone = own_network()
        self.numbers = itertools.count(1)
        self.unneeded: list[str] = []
        """What nobody needs any more. It stays until the end: see discard."""
        self.processes: list[subprocess.Popen[bytes]] = []
        self._peak = 0
        self._spots: list[tuple[str, _Look, int, int | None]] = []
        self._told: dict[str, t.Any] = {}
        self._counting: Counter | None = None

    # -- the two programs ----------------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        try:
            self._start_sshd()
            self._start_database()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        self._remove()
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(os.path.join(self.directory, "mysql"), ignore_errors=True)

    def discard(self) -> None:
        """Remove what is not needed any more, where the disk is too small to keep it until the end, and wait.

        For five minutes after many files were deleted ext4 searches for inodes that were not, and making files costs two to three times
        as much: nobody's first backup could be measured.
        """
        if self.unneeded:
            print(f"removing what was measured, and waiting {FORGETTING_SECONDS} s for the file system", file=sys.stderr)
            self._remove()
            time.sleep(FORGETTING_SECONDS)

    def _remove(self) -> None:
        while self.unneeded:
            shutil.rmtree(self.unneeded.pop(), ignore_errors=True)

    def _start_sshd(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("host_key", "admin_key", "pull_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{self.path}/{name}"], check=True)
        keys = {name: " ".join(pathlib.Path(self.path, f"{name}.pub").read_text("ascii").split()[:2]) for name in ("host_key", "admin_key", "pull_key")}
        self.restricted = bool(shutil.which("rrsync"))
        limit = f'restrict,command="rrsync -ro {self.directory}" ' if self.restricted else ""
        self._write("authorized_keys", f"{keys['admin_key']}\n{limit}{keys['pull_key']}\n")
        self._write("known_hosts", f"* {keys['host_key']}\n")
        self._write("sshd_config", _SSHD.format(lab=self.path, port=self.port, user=getpass.getuser()))
        self._write("ssh_config", _SSH.format(lab=self.path, port=self.port, user=getpass.getuser()))
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)
        self._start(["/usr/sbin/sshd", "-D", "-f", f"{self.path}/sshd_config", "-E", self.log], ["ssh", "-F", self.ssh_config, "server", "true"])

    def _start_database(self) -> None:
        data = os.path.join(self.directory, "mysql")
        shutil.rmtree(data, ignore_errors=True)
        user = ["--user=root"] if os.geteuid() == 0 else []
        with open(os.path.join(self.path, "programs.log"), "ab") as log:  # it warns that there is no network
            subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", *user],
                           check=True, stdout=log, stderr=log)
        self._start(["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={self.database_socket}", "--skip-networking", "--max-connections=400",
                     "--innodb-flush-log-at-trx-commit=0", *user], [*self._client(), "-e", ""])
        grants = "".join(f"CREATE DATABASE `{name}`; GRANT ALL ON `{name}`.* TO seafile@localhost;" for name in DATABASES)
        self.sql(f"CREATE USER seafile@localhost IDENTIFIED BY 'benchmark'; {grants}")
        self.fill(1)

    def _start(self, argv: list[str], ready: list[str]) -> None:
        with open(os.path.join(self.path, "programs.log"), "ab") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        for dummy in range(300):
            if not subprocess.run(ready, capture_output=True, check=False).returncode:
                return
            if process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(f"{argv[0]} did not start:\n{pathlib.Path(self.path, 'programs.log').read_text('utf-8', 'replace')[-2000:]}")

    def _write(self, name: str, text: str) -> None:
        with open(os.open(os.path.join(self.path, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)

    def _client(self) -> list[str]:
        return ["mariadb", "--no-defaults", f"--socket={self.database_socket}", "--user=root"]

    def sql(self, text: str) -> None:
        subprocess.run(self._client(), input=text.encode("utf-8"), check=True)

    def import_dump(self, deployment: str) -> None:
        """Bring the databases to what the generator last wrote."""
        command = f"gzip -dc {shlex.quote(deployment)}/databases/seafile-db.sql.gz | {shlex.join(self._client())} seafile-db"
        subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)

    def fill(self, megabytes: int) -> None:
        """About that much SQL in the tables that grow with the use of a server; the same rows every time."""
        number = megabytes * 3480
        self.sql(f"""
            USE `seahub-db`;
            CREATE OR REPLACE TABLE Activity (
                id bigint PRIMARY KEY AUTO_INCREMENT, op_type varchar(128) NOT NULL, op_user varchar(255) NOT NULL, obj_type varchar(128) NOT NULL,
                timestamp datetime NOT NULL, repo_id varchar(36) NOT NULL, commit_id varchar(40), path text, detail text, KEY ix_timestamp (timestamp)
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
            INSERT INTO Activity SELECT
                seq, ELT(1 + seq % 4, 'create', 'edit', 'delete', 'rename'), CONCAT('user', seq % 400, '@example.org'), 'file',
                '2025-01-01' + INTERVAL seq MINUTE, INSERT(INSERT(MD5(seq % 200), 9, 0, '-'), 14, 0, '-'), SHA1(seq),
                CONCAT('/Projects/', MD5(seq % 5000), '/report ', seq, '.docx'), CONCAT('{{"size": ', seq * 37, ', "obj_id": "', SHA1(-seq), '"}}')
                FROM seq_1_to_{number * 7 // 10};
            USE `seafile-db`;
            CREATE OR REPLACE TABLE WebUploadTempFiles (
                id bigint PRIMARY KEY AUTO_INCREMENT, repo_id char(40) NOT NULL, file_path text NOT NULL, tmp_file_path text NOT NULL
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
            INSERT INTO WebUploadTempFiles SELECT
                seq, MD5(seq % 200), CONCAT('/Projects/', MD5(seq % 5000), '/scan ', seq, '.pdf'),
                CONCAT('/opt/seafile/seafile-data/httptemp/cluster-shared/', SHA1(seq), SHA1(-seq), SHA1(seq + 0.5), SHA1(seq + 0.25))
                FROM seq_1_to_{number * 2 // 10};
            USE `ccnet-db`;
            CREATE OR REPLACE TABLE EmailUser (
                id bigint PRIMARY KEY AUTO_INCREMENT, email varchar(255), passwd varchar(256), is_staff bool, is_active bool, ctime bigint,
                reference_id varchar(255), UNIQUE KEY (email)
            ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
            INSERT INTO EmailUser SELECT
                seq, CONCAT('user', seq, '@example.org'), CONCAT('PBKDF2SHA256$10000$', SHA2(seq, 256), '$', SHA2(-seq, 256)), 0, 1, 1700000000 + seq, NULL
                FROM seq_1_to_{number // 10};
        """)

    # -- the inventory -------------------------------------------------------------------------------------------

    def playbook(self, servers: dict[str, str], backup_root: str) -> list[str]:
        """The command that backs up these servers (name: haiwen directory), each over connections of its own."""
        shared = {
            "ansible_user": getpass.getuser(), "ansible_ssh_common_args": f"-F {self.ssh_config}", "ansible_python_interpreter": PYTHON,
            "seafile_backup_host": "keeper", "seafile_backup_root": backup_root,
            "seafile_pull_host": "127.0.0.1", "seafile_pull_port": self.port, "seafile_pull_user": getpass.getuser(),
            "seafile_pull_private_key": f"{self.path}/pull_key", "seafile_pull_known_hosts": f"{self.path}/known_hosts",
            "seafile_pull_root": self.directory, "seafile_pull_restricted": self.restricted,
        }
        inventory = {
            "all": {"vars": shared, "hosts": {"keeper": {}}},
            "seafile_servers": {"hosts": {name: {"seafile_root": root} for name, root in servers.items()}},
        }
        self._write("inventory.json", json.dumps(inventory, indent=1))
        return [str(measure.ROOT / ".build" / "run-venv" / "bin" / "ansible-playbook"), "-i", f"{self.path}/inventory.json",
                str(measure.ROOT / "playbooks" / "backup.yml")]

    def environment(self) -> dict[str, str]:
        """For the playbook: the shipped example's settings, this checkout as the collection, and the callback that tells of stages."""
        return {
            **os.environ, "ANSIBLE_CONFIG": str(measure.ROOT / "examples" / "ansible.cfg"), "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(measure.ROOT / ".build" / "run-collections"), "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{self.path}/cp",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"), "ANSIBLE_CALLBACKS_ENABLED": "stages", "BENCHMARK_SOCKET": f"{self.path}/stages.sock",
        }

    # -- one run -------------------------------------------------------------------------------------------------

    def run(self, argv: list[str], variables: dict[str, str] | None = None, count: bool = False) -> Run:
        """Run a command and measure both ends; a failure ends the benchmark with its output.

        :arg count: count system calls too. That slows, so the times of such a run say nothing.
        """
        log_size = os.path.getsize(self.log)
        self._spots, self._told, self._peak, self._counting = [], {}, 0, None
        with tempfile.TemporaryFile() as output, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{self.path}/stages.sock")
            listener.listen()
            # It waits for a line, so that nothing of it goes by before the clocks are read.
            process = subprocess.Popen(["sh", "-c", 'read -r line; exec "$@"', "sh", *argv], cwd=self.directory, env=variables, stdin=subprocess.PIPE,
                                       stdout=output, stderr=subprocess.STDOUT)
            assert process.stdin is not None
            self._mark(START, count)
            ended = threading.Event()
            threads = [threading.Thread(target=self._sample, args=(process.pid, ended)),
                       threading.Thread(target=self._listen, args=(listener, ended, count))]
            for thread in threads:
                thread.start()
            process.stdin.write(b"\n")
            process.stdin.close()
            dummy, status, usage = os.wait4(process.pid, 0)
            end = time.monotonic()
            process.returncode = os.waitstatus_to_exitcode(status)
            ended.set()
            for thread in threads:
                thread.join()
            os.unlink(f"{self.path}/stages.sock")
            self._settle()
            self._mark(START, False, end)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        if process.returncode:
            raise SystemExit(f"{shlex.join(argv)} failed with exit code {process.returncode}\n{text[-6000:]}")
        return self._result(usage.ru_utime + usage.ru_stime, log_size)

    def _mark(self, stage: str, count: bool, moment: float = 0.0) -> None:
        """A stage begins: read the clocks."""
        calls = self._counting.end() if self._counting else None
        self._counting = None
        look = _Look(moment or time.monotonic(), cpu_seconds(), net_bytes())
        peak, self._peak = self._peak, 0
        self._spots.append((stage, look, peak, calls))
        if count and self.counter:
            self._counting = Counter(self.counter, os.path.join(self.path, "calls"))

    def _result(self, own: float, log_size: int) -> Run:
        """Sum up; each stage ends where the next begins."""
        stages: dict[str, Cost] = {}
        for (stage, began, _peak, _calls), (_next, ended, peak, calls) in zip(self._spots, self._spots[1:]):
            cost = Cost(ended.wall - began.wall, ended.cpu - began.cpu, 0.0, peak, ended.net - began.net, calls=calls)
            stages[stage] = stages[stage].plus(cost) if stage in stages else cost
        first, last = self._spots[0][1], self._spots[-1][1]
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            stream.seek(log_size)
            log = stream.read()
        fingerprint = subprocess.run(["ssh-keygen", "-lf", f"{self.path}/pull_key.pub"], check=True, capture_output=True, text=True).stdout.split()[1]
        accepted = re.findall(r"^Accepted publickey .* (SHA256:\S+)$", log, re.MULTILINE)
        counted = [stage.calls for stage in stages.values() if stage.calls is not None]
        cost = Cost(last.wall - first.wall, last.cpu - first.cpu, own, max(stage.memory for stage in stages.values()), last.net - first.net,
                    len(accepted), accepted.count(fingerprint), sum(counted) if counted else None)
        return Run(cost, stages, self._told.get("executed", {}), self._told.get("skipped", {}))

    def _sample(self, pid: int, ended: threading.Event) -> None:
        latest = time.monotonic() + MOST_SECONDS
        while not ended.wait(SAMPLE_SECONDS):
            if time.monotonic() > latest:
                os.kill(pid, signal.SIGKILL)
            database = self.processes[1].pid
            counting = self._counting.process.pid if self._counting else 0
            self._peak = max(self._peak, sum(measure.memory(one) for one in measure.family(os.getpid())[1:] if one not in (database, counting)))

    def _listen(self, listener: socket.socket, ended: threading.Event, count: bool) -> None:
        """Answer the callback: one connection of a playbook, one line of JSON a stage."""
        listener.settimeout(SAMPLE_SECONDS)
        while not ended.is_set():
            try:
                connection = listener.accept()[0]
            except socket.timeout:
                continue
            with connection, connection.makefile("rwb") as stream:
                for line in stream:
                    told = json.loads(line)
                    self._told.update(told)
                    self._mark(told["stage"] or START, count)
                    stream.write(b"\n")
                    stream.flush()

    def _settle(self) -> None:
        """Close what the run left behind (Ansible's ssh connections, which wait for more work) until only our two programs are there."""
        kept = {process.pid for process in self.processes}
        if self._counting:
            kept.add(self._counting.process.pid)
        told: set[int] = set()
        latest = time.monotonic() + SETTLE_SECONDS
        while set(measure.family(os.getpid())[1:]) - kept:
            for pid in set(measure.children(os.getpid())) - kept:
                if os.waitpid(pid, os.WNOHANG)[0] == 0 and pid not in told:
                    os.kill(pid, signal.SIGTERM)
                    told.add(pid)
            if time.monotonic() > latest:
                raise SystemExit("something of the last run is still at work after a minute: see ps")
            time.sleep(0.02)
