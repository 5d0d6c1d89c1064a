# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries encrypted here by OpenSSL's program and by the derivation as Seafile's source has it, told in other words than the code's.

enc_version 2 and 4 are proved on libraries of real servers besides (test_library_export.py); 1 and 3 only here.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import struct
import subprocess

import pytest
from ansible_collections.seafleet.seafile.plugins.module_utils import library_crypto
from ansible_collections.seafleet.seafile.plugins.module_utils.errors import SeafileError
from ansible_collections.seafleet.seafile.plugins.module_utils.object_store import Damage

LIBRARY = "5c22b892-bd61-47db-82e8-0c3add5251f2"
PASSWORD = "geheim ä€ \"quoted\""
SALT = bytes(range(32))
FIXED = bytes([0xDA, 0x90, 0x45, 0xC3, 0x06, 0xC7, 0xCC, 0x26])
CIPHERS = {1: ("-aes-128-cbc", 16), 2: ("-aes-256-cbc", 32), 3: ("-aes-128-ecb", 16), 4: ("-aes-256-cbc", 32)}


def pbkdf2(secret, salt, rounds, length):
    """RFC 8018, 5.2, by hand."""
    made = b""
    block = 0
    while len(made) < length:
        block += 1
        piece = hmac.new(secret, salt + struct.pack(">I", block), "sha256").digest()
        total = int.from_bytes(piece, "big")
        for dummy in range(rounds - 1):
            piece = hmac.new(secret, piece, "sha256").digest()
            total ^= int.from_bytes(piece, "big")
        made += total.to_bytes(32, "big")
    return made[:length]


# EVP_BytesToKey(EVP_aes_128_cbc(), EVP_sha1(), salt, secret, length, 1 << 19, key, vector) of OpenSSL 3.0.19, called through ctypes:
# key and vector of the password and of what the magic is made of.
PASSWORD_V1 = "geheim-1"
KEYS_V1 = {
    b"geheim-1": ("035359c54fad04e185a7c8b38663fbfb", "73839ee2d5b712ebcbe8c4f7e3ddc4aa"),
    LIBRARY.encode() + b"geheim-1": ("4c3ad988a157b27d8fe394c5b3e2d35a", "7eeeab4763d822566d5278bbf9f018f5"),
}


def derive(version, secret):
    if version == 1:
        key, vector = KEYS_V1[secret]
        return bytes.fromhex(key), bytes.fromhex(vector)
    salt = FIXED if version == 2 else SALT
    key = pbkdf2(secret, salt, 1000, 32)
    return key, pbkdf2(key, salt, 10, 16)


def encrypt(version, key, vector, plain):
    cipher, length = CIPHERS[version]
    argv = ["openssl", "enc", cipher, "-K", key[:length].hex()] + ([] if version == 3 else ["-iv", vector.hex()])
    return subprocess.run(argv, input=plain, stdout=subprocess.PIPE, check=True).stdout


def password_of(version):
    return PASSWORD_V1 if version == 1 else PASSWORD


def library(version, **more):
    """Return (the fields of a commit, a function that encrypts a block) of a new library."""
    password = password_of(version)
    key, vector = derive(version, password.encode())
    document = {"repo_id": LIBRARY, "repo_name": "Vault", "encrypted": "true", "enc_version": version,
                "magic": derive(version, LIBRARY.encode() + password.encode())[0].hex()}
    if version >= 2:
        secret = hashlib.sha256(b"a random secret").digest()
        document["key"] = encrypt(version, key, vector, secret).hex()
        key, vector = derive(version, secret)
    if version >= 3:
        document["salt"] = SALT.hex()
    return dict(document, **more), lambda plain: encrypt(version, key, vector, plain)


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not here")


@needs_openssl
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_version_gives_the_plain_bytes_back(version):
    document, encrypted = library(version)
    decryption = library_crypto.open_library(document, password_of(version))
    for length in (0, 1, 15, 16, 17, 4096, 100001):
        plain = hashlib.sha512(b"content").digest() * (length // 64 + 1)
        ciphertext = encrypted(plain[:length])
        for step in (1 << 20, 4096, 7):
            if length < 5000 or step > 7:
                assert b"".join(decryption.plain(ciphertext[at:at + step] for at in range(0, len(ciphertext), step))) == plain[:length]


@needs_openssl
@pytest.mark.parametrize("version, password", [(1, "geheim-2"), (2, ""), (2, "Geheim"), (2, PASSWORD + " "), (3, "Geheim"), (4, "Geheim")])
def test_a_wrong_password_is_told_and_never_repeated(version, password):
    with pytest.raises(SeafileError) as caught:
        library_crypto.open_library(library(version)[0], password)
    assert caught.value.code == "library-password-wrong" and "Vault" in caught.value.message
    assert not password or password not in caught.value.message


@needs_openssl
def test_padding_that_is_right_by_chance_is_not_taken_for_a_right_password(monkeypatch):
    document = library(4)[0]
    by_chance = []
    unwrap = library_crypto.Decryption.plain

    def watched(self, chunks):
        plain = b"".join(unwrap(self, chunks))
        by_chance.append(len(plain))
        yield plain

    monkeypatch.setattr(library_crypto.Decryption, "plain", watched)
    for number in range(1000):
        with pytest.raises(SeafileError) as caught:
            library_crypto.open_library(document, f"guess {number}")
        assert caught.value.code == "library-password-wrong"
    assert by_chance and 32 not in by_chance


@needs_openssl
@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_library_of_a_server_that_writes_no_magic_opens_by_its_key_alone(version):
    document, encrypted = library(version, pwd_hash="0" * 64, pwd_hash_algo="argon2id", pwd_hash_params="2,102400,8")
    del document["magic"]
    assert b"".join(library_crypto.open_library(document, PASSWORD).plain([encrypted(b"content")])) == b"content"
    with pytest.raises(SeafileError) as caught:
        library_crypto.open_library(document, "wrong")
    assert caught.value.code == "library-password-wrong"


@needs_openssl
@pytest.mark.parametrize("version, damage", [
    (1, {"magic": None}), (2, {"key": None}), (2, {"key": "zz"}), (2, {"key": "00" * 48}), (4, {"key": "00" * 47}), (3, {"salt": None}),
    (4, {"salt": "ab" * 31}), (4, {"salt": 7}), (4, {"key": ["x"]}),
])
def test_damaged_key_material_is_told_apart_from_a_wrong_password(version, damage):
    with pytest.raises(SeafileError) as caught:
        library_crypto.open_library(library(version, **damage)[0], password_of(version))
    assert caught.value.code == "library-key-damaged"


@pytest.mark.parametrize("version", [0, 5, None, "2", [2]])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(SeafileError) as caught:
        library_crypto.open_library({"repo_id": LIBRARY, "enc_version": version}, PASSWORD)
    assert caught.value.code == "library-encryption-unknown"


def test_a_missing_package_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(library_crypto, "HAS_CRYPTOGRAPHY", False)
    with pytest.raises(SeafileError) as caught:
        library_crypto.open_library({"repo_id": LIBRARY, "enc_version": 2}, PASSWORD)
    assert caught.value.code == "python-library-missing"
    assert "cryptography" in caught.value.message and "python3-cryptography" in caught.value.next_step


@needs_openssl
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_bytes_that_the_key_does_not_decrypt_are_damage(version):
    key, vector = bytes(range(32)), bytes(range(16))
    decryption = library_crypto.Decryption(version, key, vector)
    whole = encrypt(version, key, vector, b"x" * 100)
    assert len(b"".join(decryption.plain([whole]))) == 100
    for strange in (b"", whole[:-1], whole[:-16], b"x" * 15):
        with pytest.raises(Damage) as caught:
            list(decryption.plain([strange]))
        assert caught.value.kind == "mismatch"
