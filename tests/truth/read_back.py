# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read every file of every library back out of a Seafile deployment, and compare it with a MANIFEST.json.

This is the truth that tests hold a restore against, so it uses nothing of the collection: it walks the restored
objects from the restored databases, hashes every object on its way, decrypts encrypted libraries with their password,
and hashes each file's content.

    read_back.py compare --manifest MANIFEST.json --haiwen DIR [--rows rows.json]
    read_back.py tell --manifest MANIFEST.json --haiwen DIR [--rows rows.json] > NOW.json
    read_back.py rows --client mariadb --client --socket=/run/... --seafile seafile-db --ccnet ccnet-db > rows.json

I(compare) reads the SQLite databases below DIR unless the rows are given; exit status 0 equal, 1 different, 2 not
readable. I(tell) writes the manifest anew with the libraries as they are now, for a deployment that was written into.
I(rows) fetches the rows from MySQL or MariaDB by the stock client. Needs Python >= 3.9, and for encrypted libraries either the
package cryptography or the program openssl.
"""

from __future__ import annotations

import argparse
import binascii
import hashlib
import json
import os
import sqlite3
import stat
import struct
import subprocess
import sys
import zlib

ZERO = "0" * 40
TABLES = {
    "seafile": {
        "Branch": ("name", "repo_id", "commit_id"),
        "Repo": ("repo_id",),
        "RepoOwner": ("repo_id", "owner_id"),
        "VirtualRepo": ("repo_id", "origin_repo", "path", "base_commit"),
        "RepoTrash": ("repo_id", "repo_name", "head_id", "owner_id"),
        "GarbageRepos": ("repo_id",),
    },
    "ccnet": {
        "EmailUser": ("email", "passwd", "is_staff", "is_active"),
        "Group": ("group_id", "group_name"),
        "GroupUser": ("group_id", "user_name"),
    },
}
SQLITE_FILES = {
    "Branch": "seafile-data/seafile.db", "Repo": "seafile-data/seafile.db", "RepoOwner": "seafile-data/seafile.db",
    "VirtualRepo": "seafile-data/seafile.db", "RepoTrash": "seafile-data/seafile.db", "GarbageRepos": "seafile-data/seafile.db",
    "EmailUser": "ccnet/PeerMgr/usermgr.db", "Group": "ccnet/GroupMgr/groupmgr.db", "GroupUser": "ccnet/GroupMgr/groupmgr.db",
}


class Broken(Exception):
    """An object or a database is not there or not what it should be."""


# -- rows --------------------------------------------------------------------------------------------------------


def rows_from_sqlite(haiwen):
    """Return {table: [row as dict]} of the deployment's SQLite files, opened read-only."""
    rows = {}
    for tables in TABLES.values():
        for table, columns in tables.items():
            path = os.path.join(os.path.abspath(haiwen), SQLITE_FILES[table])
            if not os.path.isfile(path):
                raise Broken(f"{path}: no such database")
            uri = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23") + "?mode=ro"
            connection = sqlite3.connect(uri, uri=True)
            try:
                names = ", ".join(f'"{column}"' for column in columns)
                rows[table] = [dict(zip(columns, row)) for row in connection.execute(f'SELECT {names} FROM "{table}"')]
            except sqlite3.Error as error:
                raise Broken(f"{path}: {error}") from error
            finally:
                connection.close()
    return rows


def rows_from_mysql(client, seafile, ccnet):
    """The same from MySQL or MariaDB. I(client): the stock client's argv, for example ["mariadb", "--socket=..."]."""
    rows = {}
    for part, database in (("seafile", seafile), ("ccnet", ccnet)):
        for table, columns in TABLES[part].items():
            pairs = ", ".join(f"'{column}', `{column}`" for column in columns)
            query = f"SELECT JSON_OBJECT({pairs}) FROM `{table}`"
            argv = [*client, "--default-character-set=utf8mb4", "--batch", "--raw", "--skip-column-names", "-e", query, "-D", database]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode:
                raise Broken(f"{database}.{table}: {done.stderr.decode('utf-8', 'replace').strip()}")
            rows[table] = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    return rows


# -- objects -----------------------------------------------------------------------------------------------------


class Storage:
    """The object store below C(seafile-data/storage); every object it hands out has the content its id promises."""

    def __init__(self, path):
        self.path = path

    def raw(self, kind, store, object_id):
        path = os.path.join(self.path, kind, store, object_id[:2], object_id[2:])
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise Broken(f"{path}: not a regular file")
            with open(path, "rb") as stream:
                return stream.read()
        except FileNotFoundError:
            raise Broken(f"{path}: missing") from None

    def commit(self, library, object_id):
        try:
            commit = json.loads(self.raw("commits", library, object_id))
        except ValueError as error:
            raise Broken(f"commit {object_id} of {library}: {error}") from error
        texts = [commit["root_id"], commit["creator"]] + ([commit["creator_name"]] if commit.get("creator_name") else []) + [commit["description"]]
        ctime = struct.pack(">q", commit["ctime"])
        with_nul = b"".join(text.encode() + b"\0" for text in texts) + ctime
        without = b"".join(text.encode() for text in texts) + ctime
        if object_id not in (hashlib.sha1(with_nul).hexdigest(), hashlib.sha1(without).hexdigest()):
            raise Broken(f"commit {object_id} of {library}: its content has another id")
        if commit["commit_id"] != object_id or commit["repo_id"] != library:
            raise Broken(f"commit {object_id} of {library}: names another commit or library")
        return commit

    def fs(self, store, object_id):
        try:
            plain = zlib.decompress(self.raw("fs", store, object_id))
            if hashlib.sha1(plain).hexdigest() != object_id:
                raise Broken(f"fs object {object_id} of {store}: its content has another id")
            return json.loads(plain)
        except (zlib.error, ValueError) as error:
            raise Broken(f"fs object {object_id} of {store}: {error}") from error

    def block(self, store, object_id):
        content = self.raw("blocks", store, object_id)
        if hashlib.sha1(content).hexdigest() != object_id:
            raise Broken(f"block {object_id} of {store}: its content has another id")
        return content


# -- encryption (common/seafile-crypt.c; found by reproducing the manifests' hashes) --------------------------------

V2_SALT = bytes.fromhex("da9045c306c7cc26")


def _aes_256_cbc(key, iv, ciphertext):
    try:
        from cryptography.hazmat.primitives import padding
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        argv = ["openssl", "enc", "-d", "-aes-256-cbc", "-K", key.hex(), "-iv", iv.hex()]
        done = subprocess.run(argv, input=ciphertext, capture_output=True, check=False)
        if done.returncode:
            raise Broken("cannot be decrypted: wrong password or key") from None
        return done.stdout
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as error:
        raise Broken("cannot be decrypted: wrong password or key") from error


def _derive(secret, salt):
    key = hashlib.pbkdf2_hmac("sha256", secret, salt, 1000, 32)
    return key, hashlib.pbkdf2_hmac("sha256", key, salt, 10, 16)


class Decryption:
    """The key and vector of one encrypted library, from its head commit and its password (enc_version 2 to 4)."""

    def __init__(self, commit, password):
        version = commit["enc_version"]
        if version not in (2, 3, 4):
            raise Broken(f"enc_version {version} is not known")
        salt = V2_SALT if version == 2 else binascii.unhexlify(commit["salt"])
        magic, dummy = _derive(commit["repo_id"].encode() + password.encode(), salt)
        if magic.hex() != commit["magic"]:
            raise Broken(f"the password of library {commit['repo_id']} is wrong")
        secret = _aes_256_cbc(*_derive(password.encode(), salt), binascii.unhexlify(commit["key"]))
        self.key, self.iv = _derive(secret, salt)

    def __call__(self, ciphertext):
        return _aes_256_cbc(self.key, self.iv, ciphertext)


# -- reading back --------------------------------------------------------------------------------------------------


def read_files(storage, store, root, decrypt=None):
    """Return ({path: {id, size, sha256}}, [path of each directory below the root]) of one tree."""
    files, directories = {}, []
    stack = [("", root)]
    while stack:
        path, object_id = stack.pop()
        if object_id == ZERO:
            continue
        directory = storage.fs(store, object_id)
        if directory["type"] != 3:
            raise Broken(f"fs object {object_id} of {store}: not a directory")
        for entry in directory["dirents"]:
            here = f"{path}/{entry['name']}"
            if stat.S_ISDIR(entry["mode"]):
                directories.append(here)
                stack.append((here, entry["id"]))
            else:
                files[here] = dict(read_file(storage, store, entry["id"], decrypt), id=entry["id"], entry_size=entry.get("size"))
    return files, sorted(directories)


def read_file(storage, store, object_id, decrypt=None):
    """Return {size, sha256} of one file's content; the size in its object must be the same."""
    digest, size = hashlib.sha256(), 0
    if object_id != ZERO:
        file = storage.fs(store, object_id)
        if file["type"] != 1:
            raise Broken(f"fs object {object_id} of {store}: not a file")
        for block in file["block_ids"]:
            content = storage.block(store, block)
            if decrypt:
                content = decrypt(content)
            digest.update(content)
            size += len(content)
        if size != file["size"]:
            raise Broken(f"file {object_id} of {store}: {size} bytes, its object says {file['size']}")
    return {"size": size, "sha256": digest.hexdigest()}


def read_library(storage, library, head, store, passwords):
    """Return {id, name, head, store_id, version, encrypted, enc_version, files, dirs} of one library."""
    commit = storage.commit(library, head)
    encrypted = str(commit.get("encrypted")).lower() == "true"
    if encrypted and library not in passwords:
        raise Broken(f"no password for the encrypted library {library}")
    decrypt = Decryption(commit, passwords[library]) if encrypted else None
    files, directories = read_files(storage, store, commit["root_id"], decrypt)
    return {
        "id": library, "name": commit["repo_name"], "head": head, "store_id": store, "version": commit.get("version", 0),
        "encrypted": encrypted, "enc_version": commit.get("enc_version") or 0, "files": files, "dirs": directories,
    }


def read_libraries(storage, rows, passwords):
    """Return ({library id: library}, [what could not be read]) of all libraries that the rows hold."""
    heads = {row["repo_id"]: row["commit_id"] for row in rows["Branch"] if row["name"] == "master"}
    owners = {row["repo_id"]: row["owner_id"] for row in rows["RepoOwner"]}
    virtual = {row["repo_id"]: row for row in rows["VirtualRepo"]}
    libraries, problems = {}, []
    for row in rows["Repo"]:
        library = row["repo_id"]
        part = virtual.get(library)
        try:
            if library not in heads:
                raise Broken("has no head")
            read = read_library(storage, library, heads[library], part["origin_repo"] if part else library, passwords)
        except (Broken, KeyError, TypeError) as error:
            problems.append(f"library {library}: {error}")
            continue
        read.update(owner=owners.get(library), virtual=part is not None, origin=part and part["origin_repo"], origin_path=part and part["path"])
        libraries[library] = read
    return libraries, problems


# -- comparing -----------------------------------------------------------------------------------------------------


def _owner(name):
    """Seafile's template library belongs to "System" in the database and to "system" everywhere else."""
    return "system" if name == "System" else name


def _differ(what, wanted, got):
    return [] if wanted == got else [f"{what}: expected {wanted!r}, found {got!r}"]


def compare_libraries(wanted_libraries, libraries):
    """Return what differs, a line each: ids, names, owners, heads, stores, directories, each file's id, size and sha256."""
    wanted = {library["id"]: library for library in wanted_libraries}
    differences = [f"library {key} ({wanted[key]['name']}): missing" for key in sorted(set(wanted) - set(libraries))]
    differences += [f"library {key} ({libraries[key]['name']}): not in the manifest" for key in sorted(set(libraries) - set(wanted))]
    for key in sorted(set(wanted) & set(libraries)):
        want, got = wanted[key], libraries[key]
        what = f"library {key} ({want['name']})"
        differences += _differ(f"{what} owner", _owner(want["owner"]), _owner(got["owner"]))
        for field in ("name", "head", "store_id", "version", "encrypted", "enc_version", "virtual", "origin", "origin_path"):
            differences += _differ(f"{what} {field}", want[field], got[field])
        differences += _differ(f"{what} directories", sorted(want["dirs"]), got["dirs"])
        for path in sorted(set(want["files"]) | set(got["files"])):
            if path not in got["files"]:
                differences.append(f"{what} {path}: missing")
            elif path not in want["files"]:
                differences.append(f"{what} {path}: not in the manifest")
            else:
                for field in ("id", "size", "sha256"):
                    differences += _differ(f"{what} {path} {field}", want["files"][path][field], got["files"][path][field])
    return differences


def compare_accounts(manifest, rows):
    """Return what differs of users, their passwords, groups and members."""
    users = sorted([row["email"], bool(row["is_staff"]), bool(row["is_active"])] for row in rows["EmailUser"])
    differences = _differ("users", sorted(manifest["emailusers"]), users)
    hashes = {row["email"]: row["passwd"] for row in rows["EmailUser"]}
    for email, password in manifest["users"].items():
        if not _is_password(password, hashes.get(email)):
            differences.append(f"user {email}: the password is another one")
    members = {}
    for row in rows["GroupUser"]:
        members.setdefault(row["group_id"], []).append(row["user_name"])
    groups = sorted([row["group_id"], row["group_name"], sorted(members.get(row["group_id"], []))] for row in rows["Group"])
    return differences + _differ("groups", sorted([group, name, sorted(names)] for group, name, names in manifest["groups"]), groups)


def _is_password(password, stored):
    """C(PBKDF2SHA256$iterations$salt$hash), as ccnet stores passwords."""
    parts = (stored or "").split("$")
    if len(parts) != 4 or parts[0] != "PBKDF2SHA256":
        return False
    return hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(parts[2]), int(parts[1])).hex() == parts[3]


def compare_trash(storage, manifest, rows):
    """Return what differs of the deleted libraries: those that can be recovered, with their file, and the garbage."""
    got = {row["repo_id"]: row for row in rows["RepoTrash"]}
    differences = _differ("trash", sorted(item["id"] for item in manifest["trash"]), sorted(got))
    for item in manifest["trash"]:
        row = got.get(item["id"])
        if row is None:
            continue
        what = f"trash {item['id']} ({item['name']})"
        for field, column in (("name", "repo_name"), ("head", "head_id"), ("owner", "owner_id")):
            differences += _differ(f"{what} {field}", item[field], row[column])
        try:
            files = read_library(storage, item["id"], row["head_id"], item["id"], manifest["passwords_of_encrypted_libraries"])["files"]
        except (Broken, KeyError, TypeError) as error:
            differences.append(f"{what}: {error}")
            continue
        path, sha256 = item["files"]
        differences += _differ(f"{what} files", {path: sha256}, {name: file["sha256"] for name, file in files.items()})
    return differences + _differ("garbage", sorted(manifest["garbage"]), sorted(row["repo_id"] for row in rows["GarbageRepos"]))


def compare(manifest, storage, rows):
    """Return a list of all differences between the manifest and what storage and databases hold; empty when equal."""
    libraries, problems = read_libraries(storage, rows, manifest["passwords_of_encrypted_libraries"])
    return problems + compare_libraries(manifest["libraries"], libraries) + compare_accounts(manifest, rows) + compare_trash(storage, manifest, rows)


def tell(manifest, storage, rows):
    """Return I(manifest) with the libraries that storage and databases hold now.

    :raises Broken: one of them cannot be read whole: that is no truth to compare with.
    """
    libraries, problems = read_libraries(storage, rows, manifest["passwords_of_encrypted_libraries"])
    if problems:
        raise Broken("; ".join(problems))
    return dict(manifest, libraries=list(libraries.values()))


def _count(manifest):
    return f"{len(manifest['libraries'])} libraries, {sum(len(library['files']) for library in manifest['libraries'])} files"


def main(arguments=None):
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Read a Seafile deployment back and compare it with a manifest.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, purpose in (("compare", "compare a deployment with a MANIFEST.json"), ("tell", "write the manifest of a deployment as it is now")):
        reading = commands.add_parser(command, help=purpose)
        reading.add_argument("--manifest", required=True)
        reading.add_argument("--haiwen", required=True, help="the deployment's directory, which holds seafile-data")
        reading.add_argument("--rows", "--mysql-json", help="rows that this program's command rows fetched; without it the SQLite files are read")
    fetching = commands.add_parser("rows", help="fetch the rows from MySQL or MariaDB as JSON")
    fetching.add_argument("--client", action="append", required=True, help="the client's argv, one option a word: --client mariadb --client=--socket=...")
    fetching.add_argument("--seafile", required=True, help="the name of the Seafile database")
    fetching.add_argument("--ccnet", required=True, help="the name of the ccnet database")
    options = parser.parse_args(arguments)
    try:
        if options.command == "rows":
            json.dump(rows_from_mysql(options.client, options.seafile, options.ccnet), sys.stdout)
            return 0
        with open(options.manifest, encoding="utf-8") as stream:
            manifest = json.load(stream)
        if options.rows:
            with open(options.rows, encoding="utf-8") as stream:
                rows = json.load(stream)
        else:
            rows = rows_from_sqlite(options.haiwen)
        storage = Storage(os.path.join(options.haiwen, "seafile-data", "storage"))
        if options.command == "tell":
            json.dump(tell(manifest, storage, rows), sys.stdout)
            return 0
        differences = compare(manifest, storage, rows)
    except (Broken, OSError, ValueError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    for line in differences:
        print(line)
    print(f"{len(differences)} differences to the manifest ({_count(manifest)})" if differences else f"equal to the manifest: {_count(manifest)}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
