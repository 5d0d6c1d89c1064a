# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether single objects are what their ids promise: one by name, or some by chance."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.layout import OBJECT_KINDS
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage, ObjectStore, object_path, parse_id
from ansible_collections.seafleet.seafile.plugins.module_utils.verification_record import Key

_MOST_BLOCK_BYTES = 64 * 1024 * 1024
"""Bytes of blocks that a sample reads at most: a block has some megabytes, other objects some hundred bytes."""
_TRIES = 4
"""Looks into directories for each object that is wanted; many of a small store are empty or known already."""


def check_object(store: ObjectStore, key: Key) -> None:
    """Read and hash one object; raise :class:`Damage` unless it is there, regular, and what its id promises."""
    kind, store_id, name = key
    object_id = parse_id(name)
    with store.open(kind, store_id) as objects:
        if kind == "blocks":
            objects.check_block(object_id)
            return
        if kind == "commits":
            damage = objects.read_commit(object_id, True)[2]
        else:
            # Which of the two forms it must have is known from its library's commits; but the id fits one of them only.
            try:
                damage = objects.read_fs(object_id, 1, True)[2]
            except Damage as found:
                if found.kind not in ("unparsable", "truncated"):
                    raise
                try:
                    damage = objects.read_fs(object_id, 0, True)[2]
                except Damage:
                    raise found from None  # by far the more frequent form
        if damage:
            raise damage


class Sample(t.NamedTuple):
    """What was read.

    :arg damaged: one sentence for each object that is not what its id promises.
    """

    objects: int
    damaged: t.List[str]

    def beyond(self, percent: float) -> bool:
        """Say whether more than I(percent) of what was read is damaged; one or two objects never are."""
        return len(self.damaged) > 2 and len(self.damaged) * 100 > percent * self.objects


def take_sample(objects: str, stores: t.Mapping[str, t.Sequence[str]], count: int, chance: random.Random) -> Sample:
    """Read and hash about I(count) objects below the directory I(objects), chosen by I(chance): each library is as likely as any other.

    A disk that fails, and somebody who encrypts everything, hits most of them or a part that is seen in a few; nothing is seen of single objects.

    :arg stores: by kind the ids of the stores that there are.
    :raises OSError: something cannot be read for want of rights.
    """
    store = ObjectStore(objects)
    seen: set[Key] = set()
    damaged = []
    block_bytes = 0
    kinds = [kind for kind in OBJECT_KINDS if stores.get(kind)]
    for dummy in range(_TRIES * count if kinds else 0):
        if len(seen) >= count:
            break
        kind = chance.choice(kinds)
        if kind == "blocks" and block_bytes >= _MOST_BLOCK_BYTES:
            continue
        store_id = chance.choice(stores[kind])
        with store.open(kind, store_id) as directory:
            prefixes = directory.listed_prefixes()
            names = sorted(directory.names(chance.choice(prefixes))) if prefixes else []
            if not names:
                continue
            object_id = chance.choice(names)
            key = (kind, store_id, object_id.hex())
            if key in seen:
                continue
            try:
                if kind == "blocks":
                    block_bytes += directory.size(object_id)
                check_object(store, key)
            except Damage as damage:
                if damage.kind == "missing":  # collected meanwhile
                    continue
                damaged.append(f"{object_path(kind, store_id, object_id)}: {damage.kind} ({damage.cause})")
            seen.add(key)
    return Sample(len(seen), damaged)
