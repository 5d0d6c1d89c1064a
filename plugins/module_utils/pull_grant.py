# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server grants to a backup host: one line in one account's C(authorized_keys), and for an account of its own all that this needs.

In the account that owns Seafile's files the forced command is C(rrsync -ro), which looks at what was asked for and runs the system's rsync.

An account of its own cannot read files that are 0600 of another one, so it gets a copy of rsync that can: with the capabilities
CAP_DAC_READ_SEARCH (read everything, write nothing) and CAP_SYS_CHROOT. C(rrsync) is of no use in front of it: the path of rsync is written into
it (Debian 11 to 13), it looks at paths with the account's own rights, and it does not see the list of files, which may lead through a link; what was
bounded by the account's rights would then be bounded by nothing. So the forced command is an rsync daemon on standard input and output,
C(rsync --server --daemon --config=FILE .), with one read-only module. It looks at no command line at all, and changes its root directory to
the module's before it reads anything: nothing outside exists for it, through whatever link.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import struct
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import write_atomically
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError

PLACE = "/usr/local/lib/seafleet"
"""Below it, one directory for each account that was made: its home, its copy of rsync, a configuration for each server."""
ACCOUNT_COMMENT = "Seafleet pull account"
"""By this the account is known as one that this collection made."""
RSYNC_MODULE = "seafile"
_NAME = re.compile(r"(?![-.])[^\s@'\"/\\,#|*?!\[\]]+")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_FROM = re.compile(r"[^\s\"\\]+")
_DAC_READ_SEARCH, _SYS_CHROOT = 2, 18  # linux/capability.h
_CAPABILITIES = 1 << _DAC_READ_SEARCH | 1 << _SYS_CHROOT
# struct vfs_cap_data of linux/capability.h, revision 2, with the effective bit
_ATTRIBUTE = struct.pack("<5I", 0x02000001, _CAPABILITIES, 0, 0, 0)
_KEYS = "authorized_keys"
_PARTIAL = f".{_KEYS}.seafleet"
_REFUSED = (
    "log-file*", "copy-links", "copy-unsafe-links", "copy-dirlinks", "remove-*", "delete*", "write-devices", "copy-devices", "fake-super")


def require_name(value: str, option: str) -> str:
    """Return the name of a host as it stands in C(authorized_keys) and in paths. Raises C(address-invalid)."""
    if not _NAME.fullmatch(value) or not value.isprintable():
        raise SeafileError("address-invalid", f"{option} {value}", "the name cannot be used everywhere",
                           "rename the host in the inventory; letters, digits, dot, dash and underscore do")
    return value


def comment(backup_host: str, server: str) -> str:
    """Return what ends the lines of I(backup_host) for I(server): two deployments of one account do not replace each other's."""
    return f"seafleet-pull-{require_name(backup_host, 'backup_host')}-{require_name(server, 'server')}"


def edited(text: str, ending: str, lines: t.Sequence[str]) -> str:
    """Return the C(authorized_keys) I(text) with I(lines) in place of every line that ends with the comment I(ending)."""
    kept = text.splitlines(keepends=True)
    if kept and not kept[-1].endswith("\n"):
        kept[-1] += "\n"
    ours = [number for number, line in enumerate(kept) if line.rstrip().endswith(" " + ending) and not line.startswith("#")]
    place = ours[0] if ours else len(kept)
    new = [f"{line}\n" for line in lines]
    return "".join(kept[:place] + new + [line for number, line in enumerate(kept) if number >= place and number not in ours])


def key_line(public_key: str, ending: str, command: str | None, addresses: str) -> str:
    """Return the line that lets I(public_key) run I(command) and nothing else; without a command, what the account may.

    :arg addresses: OpenSSH's C(from=) pattern list; empty for any.
    :raises SeafileError: C(address-invalid).
    """
    if addresses and not _FROM.fullmatch(addresses):
        raise SeafileError("address-invalid", f"from {addresses}", "it is no list of addresses, separated by commas")
    words = public_key.split()
    options = [f'from="{addresses}"'] if addresses else []
    if command is not None:
        # restrict refuses a terminal and every forwarding. Only a quotation mark is escaped there; a backslash is itself.
        options += ["restrict", 'command="' + command.replace('"', '\\"') + '"']
    return " ".join(([",".join(options)] if options else []) + words[:2] + [ending])


def rrsync_command(rrsync: str, root: str) -> str:
    """The forced command of the account that owns Seafile's files."""
    return f"{shlex.quote(rrsync)} -ro {shlex.quote(root)}"


class Own:
    """What belongs to the account I(account) that this collection made. Raises C(account-name-invalid)."""

    def __init__(self, account: str, place: str = PLACE) -> None:
        if not _ACCOUNT.fullmatch(account):
            raise SeafileError("account-name-invalid", account, "it is no name of an account")
        self.account = account
        self.home = os.path.join(place, account)
        self.copy = os.path.join(self.home, "rsync")

    def configuration(self, server: str) -> str:
        """The daemon's configuration for one server."""
        return os.path.join(self.home, f"{server}.conf")

    def command(self, server: str) -> str:
        """The forced command for one server."""
        return f"{self.copy} --server --daemon {shlex.quote('--config=' + self.configuration(server))} ."


def configuration(root: str) -> str:
    """Return the rsyncd.conf of the directory I(root). Raises C(path-invalid) for what that file cannot say."""
    if not os.path.isabs(root) or re.search(r"[%\n\r\0]", root) or root != root.strip() or root.endswith("\\"):
        raise SeafileError("path-invalid", root, "an rsync daemon cannot take this path", "rename the directory, or leave seafile_pull_account out")
    return "\n".join([
        "# Written by the role seafleet.seafile.pull_access. Read by a forced command of authorized_keys; no service.",
        "use chroot = yes", "numeric ids = yes", "munge symlinks = no", "reverse lookup = no", "log file = /dev/null", "transfer logging = no",
        f"[{RSYNC_MODULE}]", f"path = {root}", "read only = yes", "list = no", f"refuse options = {' '.join(_REFUSED)}", ""])


def account(name: str) -> pwd.struct_passwd | None:
    """Return the entry of the account, or None."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def require_ours(name: str, entry: pwd.struct_passwd | None) -> None:
    """Raise C(pull-account-foreign) when there is an account of this name that this collection has not made."""
    if entry is not None and (entry.pw_gecos.split(",")[0] != ACCOUNT_COMMENT or entry.pw_uid == 0):
        raise SeafileError("pull-account-foreign", name, "the account is there and was not made by this role")


# --- the copy of rsync --------------------------------------------------------------------------------------------


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def has_capabilities(path: str) -> bool:
    """Say whether the program I(path) has exactly the two capabilities."""
    try:
        value = os.getxattr(path, "security.capability")
    except OSError:
        return False
    # revision 3, as in a user namespace, has one number more at its end
    return value[:1] == b"\x01" and value[4:20] == _ATTRIBUTE[4:20]


def copy_is_due(copy: str, source: str, gid: int) -> str | None:
    """Return why the copy of rsync must be made (again), or None."""
    try:
        status = os.lstat(copy)
    except FileNotFoundError:
        return "there is none"
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != (0, gid, 0o750):
        return "its owner or mode is not what it should be"
    if _sha256(copy) != _sha256(source):
        return "it is not the rsync that is installed"
    return None if has_capabilities(copy) else "it lacks its capabilities"


def make_copy(copy: str, source: str, gid: int) -> None:
    """Put a copy of I(source) with its capabilities in the place of I(copy), whole or not at all. Raises C(capability-impossible)."""
    partial = f"{copy}.partial"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    with open(source, "rb") as stream:
        content = stream.read()
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o700)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchown(stream.fileno(), 0, gid)
            os.fchmod(stream.fileno(), 0o750)
            os.fsync(stream.fileno())
        try:
            os.setxattr(partial, "security.capability", _ATTRIBUTE)  # behind the writing, which removes it
        except OSError as error:
            raise _impossible(copy, f"the file system does not keep capabilities ({error.strerror})") from error
        os.rename(partial, copy)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)


def _impossible(copy: str, cause: str) -> SeafileError:
    return SeafileError("capability-impossible", copy, cause)


def require_capabilities(directory: str, copy: str) -> None:
    """Raise C(capability-impossible) where the kernel would not honour the capabilities of a program in I(directory)."""
    parent = directory
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    if os.statvfs(parent).f_flag & os.ST_NOSUID:
        raise _impossible(copy, "the file system is mounted nosuid")
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status", encoding="ascii") as stream:
            bounding = next(int(line.split()[1], 16) for line in stream if line.startswith("CapBnd:"))
        if bounding & _CAPABILITIES != _CAPABILITIES:
            raise _impossible(copy, "this machine (a container?) is not allowed CAP_DAC_READ_SEARCH and CAP_SYS_CHROOT")


def stale_copies(source: str | None, place: str = PLACE) -> list[str]:
    """Return the accounts whose copy of rsync is no longer the rsync I(source) that is installed."""
    stale = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(place)):
            copy = os.path.join(place, name, "rsync")
            with contextlib.suppress(OSError):
                if source and _sha256(copy) != _sha256(source):
                    stale.append(name)
    return stale


# --- authorized_keys ----------------------------------------------------------------------------------------------


class Keys:
    """The C(authorized_keys) of one account, edited so that the account cannot lead root anywhere else by links.

    :arg owner: (uid, gid) of what is written; I(modes): of the directory and the file.
    """

    def __init__(self, home: str, owner: tuple[int, int], modes: tuple[int, int] = (0o700, 0o600)) -> None:
        self.home = home
        self.owner = owner
        self.modes = modes
        self.path = os.path.join(home, ".ssh", _KEYS)

    def edit(self, edit: t.Callable[[str], str], write: bool = True) -> tuple[str, str]:
        """Let I(edit) change the text and store it where it did; return the text before and after.

        :raises SeafileError: C(authorized-keys-unsafe) where a link or another account's file is in the way.
        """
        with contextlib.ExitStack() as stack:
            directory = self._directory(stack, False)
            before = self._read(directory) if directory is not None else ""
            after = edit(before)
            if after != before and write:
                directory = self._directory(stack, True) if directory is None else directory
                self._write(t.cast(int, directory), after)
        return before, after

    def _directory(self, stack: contextlib.ExitStack, make: bool) -> int | None:
        try:
            home = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            if not make:
                return None
            raise SeafileError("account-home-missing", self.home, "the account has no home, in which its authorized_keys would lie") from None
        stack.callback(os.close, home)
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(".ssh", 0o700, dir_fd=home)
                os.chown(".ssh", *self.owner, dir_fd=home, follow_symlinks=False)
        try:
            directory = os.open(".ssh", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=home)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unsafe(os.path.dirname(self.path), "it is no directory, or a link") from error
        stack.callback(os.close, directory)
        if os.fstat(directory).st_uid not in (0, self.owner[0]):
            raise self._unsafe(os.path.dirname(self.path), "it belongs to another account")
        if make:
            os.fchmod(directory, self.modes[0])
        return directory

    def _read(self, directory: int) -> str:
        try:
            descriptor = os.open(_KEYS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self._unsafe(self.path, "it is a link") from error
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid not in (0, self.owner[0]):
                raise self._unsafe(self.path, "it is no file of this account")
            return stream.read().decode("utf-8", "surrogateescape")

    def _write(self, directory: int, text: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_PARTIAL, dir_fd=directory)
        descriptor = os.open(_PARTIAL, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8", "surrogateescape"))
            stream.flush()
            os.fchown(stream.fileno(), *self.owner)
            os.fchmod(stream.fileno(), self.modes[1])
            os.fsync(stream.fileno())
        os.rename(_PARTIAL, _KEYS, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)

    @staticmethod
    def _unsafe(path: str, cause: str) -> SeafileError:
        return SeafileError("authorized-keys-unsafe", path, cause)


def host_keys(directories: t.Sequence[str] = ("/etc/ssh", "/etc/openssh", "/etc")) -> list[str]:
    """Return the host's public keys as C(known_hosts) holds them, without a name: every C(ssh_host_*_key.pub) that lies beside its private half."""
    found = []
    for directory in directories:
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(directory)):
                if re.fullmatch(r"ssh_host_[a-z0-9]+_key\.pub", name) and os.path.exists(os.path.join(directory, name[:-4])):
                    with open(os.path.join(directory, name), encoding="ascii", errors="replace") as stream:
                        words = stream.read().split()
                    if len(words) >= 2 and words[0] != "ssh-dss":
                        found.append(" ".join(words[:2]))
        if found:
            break
    return found


def prepare_home(own: Own, gid: int) -> bool:
    """Make the home of an account of its own, which it may read and not write; return whether anything changed."""
    changed = False
    for path, group, mode in ((os.path.dirname(own.home), 0, 0o755), (own.home, gid, 0o750)):
        if not os.path.isdir(path):
            os.makedirs(path, mode=0o755)
            changed = True
        status = os.stat(path)
        wanted = path == own.home
        if wanted and (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != (0, group, mode):
            os.chown(path, 0, group)
            os.chmod(path, mode)
            changed = True
    return changed


def write_configuration(path: str, text: str, gid: int) -> None:
    """Store the daemon's configuration, readable by the account."""
    write_atomically(path, text.encode("utf-8", "surrogateescape"), 0o640)
    os.chown(path, 0, gid)


def remove_home(own: Own) -> None:
    """Remove all that belongs to the account, and the directory of all such accounts when it was the last."""
    shutil.rmtree(own.home, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(own.home))
