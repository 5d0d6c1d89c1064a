# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages in which a backup run pulls: dumps, then files, then objects. What rsync_pull and set_pull share."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import os
import re
import threading
import time
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils import add_only, hostile_sender, rsync, sets
from ansible_collections.seafleet.seafile.plugins.module_utils.atomic import make_private_directory, write_atomically, write_json
from ansible_collections.seafleet.seafile.plugins.module_utils.clock import as_text, utc_now
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.layout import ATTRIBUTES, CHANGES, OBJECT_KINDS, ServerLayout
from ansible_collections.seafleet.seafile.plugins.module_utils.run_record import Run

_TOLD = 20
_OVERWRITTEN = "it sent other content for objects that are here already, unasked; what was here is back in its place"
# rsync's name for a file that is not whole yet
_HALF = re.compile(r"\.[0-9a-f]{38}\.[A-Za-z0-9]{6}")


def program(module: t.Any) -> tuple[str, tuple[int, ...] | None]:
    """Return (path, version) of this host's rsync. Raises C(missing-tool)."""
    binary = module.get_bin_path("rsync")
    if not binary:
        raise SeafileError("missing-tool", "rsync", "it is not installed on this host", "install the package rsync on this host")
    dummy, stdout, dummy = module.run_command([binary, "--version"], expand_user_and_vars=False)
    version = rsync.read_version(stdout)
    rsync.require_version(version)
    return binary, version


def destination(layout: ServerLayout, set_id: str, content: str) -> tuple[str, str | None]:
    """Return where a stage of the run of I(set_id) puts what it pulls, and the earlier copy that unchanged files are linked to."""
    partial = layout.partial(set_id)
    if content == "objects":
        return layout.objects, None
    if content == "dumps":
        return partial, None
    sealed = sets.sealed_ids(layout)
    before = os.path.join(layout.sealed(sealed[-1]), "files") if sealed else None
    if before and hostile_sender.leaving_links(before):
        before = None  # unchanged files are copied then, which are few
    return os.path.join(partial, "files"), before


@contextlib.contextmanager
def believing_nothing(layout: ServerLayout, pull: rsync.Pull, source: str) -> t.Iterator[None]:
    """While objects are pulled: what a hostile server overwrites is put back, and what is no object is taken out again.

    :raises SeafileError: C(server-hostile) in place of whatever the pull itself has raised.
    """
    hostile_sender.put_back(layout)  # of a pull that was killed
    pull.overwritten_dir = layout.overwritten
    _hold_to_adding(layout, pull)
    try:
        yield
    except SeafileError as error:
        tried = hostile_sender.attempted(layout)
        hostile_sender.put_back(layout)
        if tried:
            raise hostile_sender.refusal(source, _OVERWRITTEN, tried) from error
        if error.code == "server-hostile":
            hostile_sender.set_apart(layout, error.details.get("names", []))
        raise
    except BaseException:
        hostile_sender.put_back(layout)
        raise
    changed = hostile_sender.put_back(layout)
    if changed:
        raise hostile_sender.refusal(source, _OVERWRITTEN, changed)


def _hold_to_adding(layout: ServerLayout, pull: rsync.Pull) -> None:
    """Where there are objects already, let rsync add to them and do nothing else, if the kernel can hold it to that.

    What is not whole yet lies in another directory then, from which it may be moved. On a first pull there is nothing to lose, and it costs.
    """
    if not add_only.is_available() or not any(os.path.isdir(os.path.join(layout.objects, kind)) for kind in OBJECT_KINDS):
        return
    make_private_directory(layout.partial_objects)
    if os.stat(layout.partial_objects).st_dev != os.stat(layout.objects).st_dev:
        return
    make_private_directory(layout.overwritten)
    pull.temp_dir = layout.partial_objects
    pull.lead = [*add_only.words(layout.objects, [layout.partial_objects, layout.overwritten]), *pull.lead]


def check_dumps(partial: str, checksums: t.Collection[str], source: str) -> None:
    """Raise C(server-hostile) when anything but dumps and what belongs to them has come with them."""
    unexpected = hostile_sender.unexpected_dumps(partial, (ATTRIBUTES, CHANGES), checksums)
    if unexpected:
        raise hostile_sender.refusal(source, "it sent with the dumps what is none", unexpected)


_PULLS = itertools.count()


def _apart(pull: rsync.Pull) -> rsync.Pull:
    """A process that moves aside what another one has brought must not put it over what that one moved aside."""
    if not pull.overwritten_dir:
        return pull
    return dataclasses.replace(pull, overwritten_dir=os.path.join(pull.overwritten_dir, f"{os.getpid()}-{next(_PULLS)}"))


class Stopped(Exception):
    """Another stream failed, so that this one was ended."""


def fetch(
    binary: str,
    pull: rsync.Pull,
    source: str,
    retries: int,
    held: t.Sequence[int] = (),
    watch: t.Callable[[rsync.Report, t.Any], None] | None = None,
    stop: threading.Event | None = None,
) -> rsync.Report:
    """Run rsync, again after a lost connection, as often as I(retries) says, after 2, 4, 8 ... seconds.

    :arg watch: see :func:`rsync.run`. :arg stop: when it is set, nothing is tried any more.
    """
    attempt = 0
    while True:
        if stop is not None and stop.is_set():
            raise Stopped
        try:
            return rsync.run(rsync.pull_argv(binary, _apart(pull)), pull, source, held, watch)
        except SeafileError as error:
            if stop is not None and stop.is_set():
                raise Stopped from error
            attempt += 1
            if pull.link_dest and not pull.dry_run:
                hostile_sender.part_shared(pull.dest)
            if not rsync.may_retry(error) or attempt > retries:
                raise
            pull.control_path = None  # the shared connection is lost with it
            pause = 2 ** attempt
            if stop is None:
                time.sleep(pause)
            else:
                stop.wait(pause)


def refuse_links(report: rsync.Report, source: str) -> None:
    """Raise C(object-store-elsewhere) when a kind or store at the source is a link: nothing behind it came."""
    linked = rsync.linked_stores(report)
    if linked:
        raise SeafileError(
            "object-store-elsewhere", f"{source.rstrip('/')}/{linked[0]}", "it is a link, and objects behind links are not pulled",
            "mount the directory there (mount --bind) instead of linking to it")


def check_sums(dest: str, checksums: t.Mapping[str, str]) -> None:
    """Compare SHA-256 of files below I(dest). Raises C(transfer-damaged)."""
    for path, expected in sorted(checksums.items()):
        full = os.path.join(dest, path)
        if not os.path.isfile(full):
            raise SeafileError("transfer-damaged", full, "the file did not arrive")
        if sets.file_sha256(full) != expected:
            raise SeafileError("transfer-damaged", full, "the file that arrived is not the one that was sent")


def sentences(report: rsync.Report) -> list[str]:
    """What a person should know about the source."""
    told = [f"the object {path} is empty at the source: damaged there, not stored" for path in report.empty_objects[:_TOLD]]
    if len(report.empty_objects) > _TOLD:
        told.append(f"and {len(report.empty_objects) - _TOLD} more empty objects")
    return told + [f"{path} is no regular file and was left out" for path in report.not_regular[:_TOLD]]


def counts(report: rsync.Report) -> dict[str, t.Any]:
    """The numbers of a report that a module returns."""
    return {
        "listed": report.listed, "transferred": report.transferred, "bytes_transferred": report.bytes_transferred,
        "bytes_listed": report.bytes_listed}


def finish(
    run: Run, layout: ServerLayout, content: str, began: datetime.datetime, report: rsync.Report, checksums: t.Mapping[str, str], **more: t.Any,
) -> None:
    """Record that a stage of the run has ended."""
    run.finish(content, began, dict(counts(report), sha256=dict(checksums), warnings=sentences(report), **more))


def note_source(layout: ServerLayout, params: t.Mapping[str, t.Any], src: str) -> None:
    """Note where the objects came from, for the verification that fetches damaged ones again. No secret is noted."""
    write_json(layout.source, dict({key: params[key] for key in rsync.REMOTE_ARGUMENTS}, src=src, time=as_text(utc_now())))


def add(total: rsync.Report, other: rsync.Report) -> None:
    """Add what another process has pulled."""
    for name in ("listed", "transferred", "bytes_transferred", "bytes_listed", "created", "itemized", "existing", "arrived"):
        setattr(total, name, getattr(total, name) + getattr(other, name))
    total.vanished += other.vanished
    total.empty_objects += other.empty_objects
    # every stream meets what is in the way at the top
    total.not_regular += [name for name in other.not_regular if name not in total.not_regular]
    total.changes = (total.changes + other.changes)[:100]


def leftovers_may_come(layout: ServerLayout) -> None:
    """Note that from now on half files may be left among the objects."""
    write_atomically(layout.unclean, b"")


def leftovers_are_gone(layout: ServerLayout) -> None:
    """Note that every process which writes objects has ended by itself."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(layout.unclean)


def remove_leftovers(layout: ServerLayout) -> int:
    """Remove the half files that a killed run may have left among the objects; return how many there were.

    To be called with the server's lock held, which every process that writes objects holds too: whoever wrote them is gone. Costs a listing
    of all directories, and nothing where no run was killed.
    """
    if not os.path.lexists(layout.unclean):
        return 0
    removed = 0
    for kind in OBJECT_KINDS:
        for folder, unused, names in os.walk(os.path.join(layout.objects, kind)):
            for name in filter(_HALF.fullmatch, names):
                os.unlink(os.path.join(folder, name))
                removed += 1
    return removed
