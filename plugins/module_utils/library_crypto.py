# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted libraries: from a password and a commit's fields to a file's plain bytes.

As C(common/seafile-crypt.c) of seafile-server has it (read at 12.0; enc_version 2 and 4 proved on libraries of real servers):

=========== ============================================== ================= ==============
enc_version key and vector of a secret                     salt              blocks
=========== ============================================== ================= ==============
1           EVP_BytesToKey, SHA-1, 2^19 rounds, 16 + 16    fixed, 8 bytes    AES-128-CBC
2           PBKDF2-HMAC-SHA256 1000, 32; of it again 10    fixed, 8 bytes    AES-256-CBC
3           the same                                       the library's own AES-128-ECB
4           the same                                       the library's own AES-256-CBC
=========== ============================================== ================= ==============

Version 1 encrypts with the key of the password itself. From 2 on the password's key only wraps a random secret (the commit's
C(key)), and the key of that secret encrypts. Each block is encrypted by itself, with the same vector and PKCS#7 padding.

A password is right when it unwraps the secret: the secret has 32 bytes and so a whole block of padding, which a wrong key
yields once in 2^128. So neither C(magic) nor the C(pwd_hash) that servers from 12 on write in its place (Argon2id or PBKDF2)
is needed; C(magic) only tells a wrong password from damaged key material. Version 1 has nothing but C(magic).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    HAS_CRYPTOGRAPHY = True
except ImportError:
    HAS_CRYPTOGRAPHY = False

VERSIONS = (1, 2, 3, 4)
_FIXED_SALT = bytes.fromhex("da9045c306c7cc26")
_ROUNDS_V1 = 1 << 19
_ROUNDS = 1000
_ROUNDS_VECTOR = 10
_SECRET_BYTES = 32
_BLOCK_BYTES = 16


class Decryption:
    """The key of one library, which turns its blocks into plain bytes."""

    def __init__(self, version: int, key: bytes, vector: bytes) -> None:
        self._version = version
        self._key = key
        self._vector = vector

    def plain(self, chunks: t.Iterable[bytes]) -> t.Iterator[bytes]:
        """Yield the plain bytes of one block, whose ciphertext comes in pieces of any length.

        :raises Damage: C(mismatch) when it does not end in padding.
        """
        if self._version == 3:
            cipher = Cipher(algorithms.AES(self._key[:16]), modes.ECB())  # what Seafile does; there is no choice in reading
        elif self._version == 1:
            cipher = Cipher(algorithms.AES(self._key[:16]), modes.CBC(self._vector))
        else:
            cipher = Cipher(algorithms.AES(self._key), modes.CBC(self._vector))
        decryptor = cipher.decryptor()
        held = b""
        length = 0
        for chunk in chunks:
            length += len(chunk)
            held += decryptor.update(chunk)
            if len(held) > _BLOCK_BYTES:
                yield held[:-_BLOCK_BYTES]
                held = held[-_BLOCK_BYTES:]
        padding = held[-1] if held else 0
        if length % _BLOCK_BYTES or not 1 <= padding <= _BLOCK_BYTES or held[-padding:] != bytes([padding]) * padding:
            raise Damage("mismatch", "the library's key does not decrypt it")
        yield held[:-padding]


def open_library(document: t.Mapping[str, t.Any], password: str) -> Decryption:
    """Return the decryption of the library whose commit has the fields I(document).

    :raises SeafileError: C(python-library-missing), C(library-encryption-unknown), C(library-password-wrong),
        C(library-key-damaged).
    """
    what = str(document.get("repo_name") or document.get("repo_id"))
    version = document.get("enc_version")
    if version not in VERSIONS:
        raise SeafileError("library-encryption-unknown", what, f"its enc_version is {version}")
    if not HAS_CRYPTOGRAPHY:
        raise SeafileError("python-library-missing", "cryptography", missing_required_lib("cryptography"))
    secret = password.encode("utf-8", "surrogateescape")
    salt = _salt(document, version, what)
    key, vector = _derive(version, secret, salt)
    magic, dummy = _derive(version, str(document.get("repo_id")).encode("ascii", "replace") + secret, salt)
    # Clients of version 1 wrote 16 bytes of magic; some wrote 32, of which only the first 16 have a meaning.
    told = str(document.get("magic") or "")[:2 * len(magic)].encode("ascii", "replace")
    is_right = hmac.compare_digest(magic.hex().encode("ascii"), told)
    if version == 1:
        if not told:
            raise SeafileError("library-key-damaged", what, "its commit has no magic, without which a password cannot be checked")
        if not is_right:
            raise _wrong(what)
        return Decryption(version, key, vector)
    wrapped = _from_hex(document.get("key"))
    unwrapped = _unwrap(Decryption(version, key, vector), wrapped)
    if unwrapped is None:
        if is_right:
            raise SeafileError("library-key-damaged", what, "the password is right, but the key in its commit is damaged")
        raise _wrong(what)
    return Decryption(version, *_derive(version, unwrapped, salt))


def magic_under(document: t.Mapping[str, t.Any], password: str, library_id: str) -> str | None:
    """Return the C(magic) that the commit I(document) needs as a commit of the library I(library_id); None when the password is not its own.

    C(magic) is made of the library's id and the password; C(key), which opens the content, of the password alone. Needs no cryptography.

    :raises SeafileError: C(library-encryption-unknown), C(library-key-damaged); C(library-encrypted-new-id) when the commit has a
        C(pwd_hash) in place of C(magic), which only Seafile can make.
    """
    what = str(document.get("repo_name") or document.get("repo_id"))
    version = document.get("enc_version")
    if version not in VERSIONS:
        raise SeafileError("library-encryption-unknown", what, f"its enc_version is {version}")
    told = str(document.get("magic") or "")
    if document.get("pwd_hash") or not told:
        raise SeafileError("library-encrypted-new-id", what, "its password is checked by a pwd_hash that belongs to the old id")
    secret = password.encode("utf-8", "surrogateescape")
    salt = _salt(document, version, what)
    made = [_derive(version, library.encode("ascii", "replace") + secret, salt)[0].hex() for library in (str(document.get("repo_id")), library_id)]
    return made[1] if hmac.compare_digest(made[0], told[:len(made[0])].lower()) else None


def _wrong(what: str) -> SeafileError:
    return SeafileError("library-password-wrong", what, "the password does not open it")


def _from_hex(text: t.Any) -> bytes:
    try:
        return binascii.unhexlify(text)
    except (ValueError, TypeError):
        return b""


def _salt(document: t.Mapping[str, t.Any], version: int, what: str) -> bytes:
    if version < 3:
        return _FIXED_SALT
    salt = _from_hex(document.get("salt"))
    if len(salt) != 32:
        raise SeafileError("library-key-damaged", what, "its commit has no salt of 32 bytes")
    return salt


def _unwrap(decryption: Decryption, wrapped: bytes) -> bytes | None:
    """The secret of 32 bytes; None when this is not the key that it was wrapped with."""
    try:
        secret = b"".join(decryption.plain([wrapped]))
    except Damage:
        return None
    return secret if len(secret) == _SECRET_BYTES else None


def _derive(version: int, secret: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """C(seafile_derive_key()): the key and the vector of a secret."""
    if version == 1:
        return _bytes_to_key(secret, salt)
    key = hashlib.pbkdf2_hmac("sha256", secret, salt, _ROUNDS, 32)
    return key, hashlib.pbkdf2_hmac("sha256", key, salt, _ROUNDS_VECTOR, 16)


def _bytes_to_key(secret: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """OpenSSL's C(EVP_BytesToKey) with SHA-1 for a key and a vector of 16 bytes each."""
    made = digest = b""
    while len(made) < 32:
        digest = hashlib.sha1(digest + secret + salt).digest()
        for dummy in range(_ROUNDS_V1 - 1):
            digest = hashlib.sha1(digest).digest()
        made += digest
    return made[:16], made[16:32]
