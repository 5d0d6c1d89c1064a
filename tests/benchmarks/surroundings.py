# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a generated deployment has beside its objects: configuration, empty directories, and its database as a dump.

As a server 11.0 with MariaDB has them; the tables are those that a backup reads for its pointers.
"""

from __future__ import annotations

import gzip
import os
import pathlib
import time
import typing as t

DAY = 24 * 3600

_CONFIGURATION = {
    "conf/seafile.conf": """[fileserver]
port = 8082

[database]
type = mysql
host = 127.0.0.1
port = 3306
user = seafile
password = benchmark
db_name = seafile-db
connection_charset = utf8
""",
    "conf/ccnet.conf": """[General]
SERVICE_URL = http://127.0.0.1:8000

[Database]
ENGINE = mysql
HOST = 127.0.0.1
PORT = 3306
USER = seafile
PASSWD = benchmark
DB = ccnet-db
CONNECTION_CHARSET = utf8
""",
    "conf/seahub_settings.py": """# -*- coding: utf-8 -*-
SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz0123"

DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.mysql',
        'NAME': 'seahub-db',
        'USER': 'seafile',
        'PASSWORD': 'benchmark',
        'HOST': '127.0.0.1',
        'PORT': '3306'
    }
}
""",
    "conf/gunicorn.conf.py": "daemon = True\nworkers = 5\n",
    "seafile-data/current_version": "11.0.13\n",
    "seafile-server-11.0.13/seafile.sh": "#!/bin/bash\n",
}


def make_surroundings(directory: str) -> str:
    """Everything of a deployment but its objects and dump; the directory of its objects."""
    haiwen = pathlib.Path(directory, "haiwen")
    for name in ("conf", "ccnet", "logs", "pids", "seafile-data/library-template", "seahub-data/avatars", "seahub-data/custom", "seafile-server-11.0.13",
                 *(f"seafile-data/storage/{kind}" for kind in ("blocks", "commits", "fs"))):
        (haiwen / name).mkdir(parents=True)
    write_configuration(haiwen)
    (haiwen / "seafile-server-latest").symlink_to("seafile-server-11.0.13")
    pathlib.Path(directory, "databases").mkdir()
    return str(haiwen / "seafile-data" / "storage")


def write_configuration(haiwen: pathlib.Path, socket: str = "") -> None:
    """Seafile's configuration; with the databases behind a Unix socket where one is given."""
    for name, text in _CONFIGURATION.items():
        if socket:
            text = text.replace("\nhost = 127.0.0.1", f"\nhost = localhost\nunix_socket = {socket}")
            text = text.replace("\nHOST = 127.0.0.1", f"\nHOST = localhost\nUNIX_SOCKET = {socket}").replace("'HOST': '127.0.0.1'", f"'HOST': '{socket}'")
        (haiwen / name).write_text(text, encoding="utf-8")
        (haiwen / name).chmod(0o600)


# -- the dump ----------------------------------------------------------------------------------------------------------

_ID = "  `id` bigint(20) NOT NULL AUTO_INCREMENT,\n"
_TABLES = {
    "Branch": _ID + """  `name` varchar(10) DEFAULT NULL,
  `repo_id` char(41) DEFAULT NULL,
  `commit_id` char(41) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`,`name`)
""",
    "Repo": _ID + """  `repo_id` char(37) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`)
""",
    "RepoHistoryLimit": _ID + """  `repo_id` char(37) DEFAULT NULL,
  `days` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`)
""",
    "RepoInfo": _ID + """  `repo_id` char(36) DEFAULT NULL,
  `name` varchar(255) NOT NULL,
  `update_time` bigint(20) DEFAULT NULL,
  `version` int(11) DEFAULT NULL,
  `is_encrypted` int(11) DEFAULT NULL,
  `last_modifier` varchar(255) DEFAULT NULL,
  `status` int(11) DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`)
""",
    "RepoOwner": _ID + """  `repo_id` char(37) DEFAULT NULL,
  `owner_id` varchar(255) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`),
  KEY `owner_id` (`owner_id`)
""",
    "RepoTrash": _ID + """  `repo_id` char(36) DEFAULT NULL,
  `repo_name` varchar(255) DEFAULT NULL,
  `head_id` char(40) DEFAULT NULL,
  `owner_id` varchar(255) DEFAULT NULL,
  `size` bigint(20) DEFAULT NULL,
  `org_id` int(11) DEFAULT NULL,
  `del_time` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`),
  KEY `owner_id` (`owner_id`),
  KEY `org_id` (`org_id`)
""",
    "RepoValidSince": _ID + """  `repo_id` char(37) DEFAULT NULL,
  `timestamp` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`)
""",
    "SeafileConf": _ID + """  `cfg_group` varchar(255) NOT NULL,
  `cfg_key` varchar(255) NOT NULL,
  `value` varchar(255) DEFAULT NULL,
  `property` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
""",
    "VirtualRepo": _ID + """  `repo_id` char(36) DEFAULT NULL,
  `origin_repo` char(36) DEFAULT NULL,
  `path` text DEFAULT NULL,
  `base_commit` char(40) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `repo_id` (`repo_id`),
  KEY `origin_repo` (`origin_repo`)
""",
}


def _rows(state: dict[str, t.Any]) -> dict[str, list[tuple[t.Any, ...]]]:
    """The rows of every table, without the number that each begins with."""
    live = [library for library in state["libraries"] if library["kind"] == "live"]
    return {
        "Branch": [("master", library["id"], library["head"]) for library in live],
        "Repo": [(library["id"],) for library in live],
        "RepoHistoryLimit": [(library["id"], library["days"]) for library in live if library["days"] is not None],
        "RepoInfo": [(library["id"], library["name"], state["moment"], 1, int(library["encrypted"]), library["owner"], 0) for library in live],
        "RepoOwner": [(library["id"], library["owner"]) for library in live],
        "RepoTrash": [
            (library["id"], library["name"], library["head"], library["owner"], 1, -1, state["moment"])
            for library in state["libraries"] if library["kind"] == "trash"],
        "RepoValidSince": [(library["id"], state["moment"] - library["days"] * DAY) for library in live if library["days"] is not None],
        "SeafileConf": [],
        "VirtualRepo": [(library["id"], library["origin"], library["path"], library["base"]) for library in live if library["origin"]],
    }


def _literal(value: t.Any) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def write_dump(path: str, state: dict[str, t.Any]) -> None:
    """Write the dump of C(seafile-db) as MariaDB's mysqldump does, compressed."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(state["moment"]))
    parts = ["""-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: 127.0.0.1    Database: seafile-db
-- ------------------------------------------------------
-- Server version\t10.11.6-MariaDB-0+deb12u1

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;
/*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
"""]
    for table, rows in _rows(state).items():
        parts.append(f"""
--
-- Table structure for table `{table}`
--

DROP TABLE IF EXISTS `{table}`;
CREATE TABLE `{table}` (
{_TABLES[table]}) ENGINE=InnoDB AUTO_INCREMENT={len(rows) + 1} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

--
-- Dumping data for table `{table}`
--

LOCK TABLES `{table}` WRITE;
/*!40000 ALTER TABLE `{table}` DISABLE KEYS */;
""")
        if rows:
            lines = ",\n".join(f"({number},{','.join(map(_literal, row))})" for number, row in enumerate(rows, 1))
            parts.append(f"INSERT INTO `{table}` VALUES\n{lines};\n")
        parts.append(f"/*!40000 ALTER TABLE `{table}` ENABLE KEYS */;\nUNLOCK TABLES;\n")
    parts.append(f"""/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;
/*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;

-- Dump completed on {moment}
""")
    with open(path + ".partial", "wb") as stream:
        stream.write(gzip.compress("".join(parts).encode("utf-8"), 6, mtime=0))
    os.chmod(path + ".partial", 0o600)
    os.rename(path + ".partial", path)
