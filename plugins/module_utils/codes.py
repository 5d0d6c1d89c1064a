# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every stable failure code: where it comes up, what it means, and the next step.

The codes are an interface: people search for them and automation matches on them. A code is never
renamed or given another meaning; a new cause gets a new code. Sorted by name; a test holds the order, and that
every code raised anywhere stands here and every code here is raised somewhere. The guide C(docs/troubleshooting.md) is made of this table
by C(tools/code_table.py).
"""

from __future__ import annotations

import typing as t

# Where a code comes up: the chapters of the guide. tools/code_table.py introduces each, in their order there.
INPUT = "what was given"
ACCESS = "access"
PREFLIGHT = "preflight"
DATABASE = "databases"
DUMP = "dump"
PULL = "pull"
VERIFY = "verify and seal"
RETAIN = "retain and prune"
FLEET = "the fleet"
REPORT = "report and notify"
RUN = "one run at a time"
CHOICE = "choice of a set"
RESTORE = "restore"
ROLLBACK = "rollback"
LIBRARY = "one library, one file"
DRILL = "drill"
ANY = "anywhere"


class Code(t.NamedTuple):
    """What is to be known of one code.

    :arg stage: one of the constants above: where it comes up, or comes up first.
    :arg meaning: one to three sentences: what was found, and why that stops the work.
    :arg next_step: what to do, as it stands behind C(Next:) in the message where the one who raises it says nothing better; no full stop.
    :arg command: a command that helps, with INVENTORY, SERVER, BACKUP_HOST and SET to be replaced; empty without one.
    """

    stage: str
    meaning: str
    next_step: str
    command: str = ""


CODES: dict[str, Code] = {
    "account-home-missing": Code(
        ACCESS,
        "The account that reads has no home directory, in which its authorized_keys would lie.",
        "make the home directory of that account, or use an account of its own (seafile_pull_account)",
    ),
    "account-missing": Code(
        RESTORE,
        "The set says which account owns Seafile's files, and this host has no account or group of that name.",
        "create the account on this host, or name another one",
        "useradd --system --create-home seafile",
    ),
    "account-name-invalid": Code(
        INPUT,
        "The name cannot be that of an account on a server.",
        "name the account with small letters, digits, dash and underscore",
    ),
    "account-unknown": Code(
        INPUT,
        "An option names an account or group that this machine does not have.",
        "name an account that exists on this machine, or leave the option out",
    ),
    "address-invalid": Code(
        INPUT,
        "The name of a host, an account or a host key holds something that ssh would take for an option or for a second word.",
        "give the name or address of the host, and the name of the account, without spaces, quotes and leading dash",
    ),
    "application-account-refused": Code(
        RESTORE,
        "The databases are imported, but Seafile's own account cannot log in with the password in Seafile's configuration.",
        "set that account's password to the one in Seafile's configuration (ALTER USER), or correct that file, then run again",
    ),
    "attributes-damaged": Code(
        RESTORE,
        "The set's record of owners and modes (attributes.json) is missing, or is not what was recorded.",
        "restore another set; do not edit sets by hand",
    ),
    "authorized-keys-unsafe": Code(
        ACCESS,
        "The account's .ssh directory or authorized_keys is a link, or belongs to somebody else. Root writes nothing there, because it could end up "
        "in another file.",
        "make it a plain file of that account, then run again",
    ),
    "backup-root": Code(
        INPUT,
        "The directory for the backups is not usable as one: it is relative, the root of the file system, or there is a file in its place.",
        "give backup_root as an absolute path such as /srv/seafile-backup",
    ),
    "backup-root-foreign": Code(
        PREFLIGHT,
        "The directory for this server's backup holds something that is no backup, the backup of another server, or one of a newer release. Nothing is "
        "written into it.",
        "correct seafile_backup_root, or the server's name, in the inventory; a backup that was moved there by hand keeps its file backup.json",
        "cat /srv/seafile-backup/SERVER/backup.json; ls -la /srv/seafile-backup/SERVER",
    ),
    "backup-root-inside": Code(
        PREFLIGHT,
        "Backup and Seafile directory lie inside each other, so that the backup would back itself up and perish together with what it protects.",
        "choose a backup_root outside the Seafile directory, best on another machine",
    ),
    "backup-root-missing": Code(
        ANY,
        "The directory for the backups does not exist on the backup host: nothing was backed up yet, or its file system is not mounted.",
        "mount the file system that holds the backups, or correct seafile_backup_root; the first backup makes the directory",
        "findmnt --target /srv/seafile-backup",
    ),
    "backup-shared": Code(
        FLEET,
        "Two names of the inventory would be backed up into one directory, or are one Seafile directory on one machine. "
        "Each would take the other's sets for its own.",
        "remove one of the names from the inventory, or correct its seafile_root, its address or its seafile_backup_root",
        "ansible-inventory -i INVENTORY --host SERVER",
    ),
    "capability-impossible": Code(
        ACCESS,
        "An account of its own reads Seafile's files through a copy of rsync with file capabilities, and this machine does not honour them: a file "
        "system mounted nosuid, one that keeps no extended attributes, or a container without these rights.",
        "leave seafile_pull_account out, so that the account which owns Seafile's files reads",
    ),
    "clock": Code(
        PREFLIGHT,
        "Two clocks do not agree: those of server and backup host differ by more than is allowed, or the newest set comes from the future of the backup "
        "host's clock. Set ids, history limits and retention count by these clocks.",
        "set the clocks of the server and of the backup host (NTP), then run again",
        "timedatectl status",
    ),
    "commit-id-invalid": Code(
        LIBRARY,
        "What was given, or stands in a dump, is not the id of a commit.",
        "give the commit's id, 40 hexadecimal digits in lower case",
    ),
    "commit-unknown": Code(
        LIBRARY,
        "The library has no such commit in this set.",
        "copy the commit's id from the library's history (library_info with history), or take another set",
    ),
    "config-not-rewritten": Code(
        RESTORE,
        "A configuration file has a form in which one value cannot be replaced without touching more than that value.",
        "edit the named file by hand on the target, leave the option out, then run again",
    ),
    "config-unreadable": Code(
        PREFLIGHT,
        "A configuration file of Seafile cannot be read, or not be understood: rights, encoding, or a mistake in it.",
        "correct the named configuration file on the server (Seafile itself reads it the same way), or its rights, then run again",
    ),
    "connection-lost": Code(
        PULL,
        "The connection between server and backup host was cut or stalled, and was still lost after all tries.",
        "look at the network and at sshd on both hosts, then run again; what has arrived is kept",
    ),
    "controller-gone": Code(
        RUN,
        "Nobody waits any more for what the module will say: the controller was killed, the job was cancelled, or the connection broke. "
        "The module ended its rsync processes and freed the lock; what had arrived stays.",
        "run again; it goes on with what has arrived",
    ),
    "data-dir-outside-root": Code(
        PREFLIGHT,
        "Seafile keeps its data outside the Seafile directory, where the pull of the files would miss them.",
        "mount the data directory at <seafile_root>/seafile-data (mount --bind) in place of a link or of another path, then run again",
        "mount --bind /data/seafile-data /opt/seafile/seafile-data",
    ),
    "database-access-denied": Code(
        DATABASE,
        "The database server refuses the account in Seafile's configuration, or the one that was given.",
        "check the database user and password",
        "mariadb -u seafile -p -h 127.0.0.1 -e 'SHOW DATABASES'",
    ),
    "database-changed": Code(
        DATABASE,
        "Tables were created, altered or dropped while they were dumped, twice in a row, or rows changed while they were being set.",
        "wait until the upgrade or migration that changes tables has ended, then run again",
    ),
    "database-collation-unknown": Code(
        DATABASE,
        "The dump uses a character set or collation that this database server does not know.",
        "restore onto a database server of the same kind that is not older than the one the dump was made on",
    ),
    "database-connection-lost": Code(
        DATABASE,
        "The database server closed the connection in the middle of the work.",
        "look into the database server's log (a crash, a restart, a killed connection), then run again",
        "journalctl -u mariadb --since -1h",
    ),
    "database-definer-missing": Code(
        DATABASE,
        "A view, trigger or routine of the dump belongs to an account that this database server does not have.",
        "create the named accounts, or give definers=replace (restore_definers): the account that restores takes their place",
    ),
    "database-disk-full": Code(
        DATABASE,
        "The database server has no room left for its own files.",
        "free space on the file system of the database server, then run again",
        "df -h /var/lib/mysql",
    ),
    "database-error": Code(
        DATABASE,
        "The database server reported an error that has no code of its own; its words stand in the message.",
        "read the database server's message, then run again",
    ),
    "database-feature-missing": Code(
        DATABASE,
        "The dump holds something that this kind or version of database server does not have, such as sequences or system versioning.",
        "restore onto a database server of the same kind that is not older than the one the dump was made on",
    ),
    "database-login-invalid": Code(
        DATABASE,
        "A user, password or host for the database cannot be handed to the database programs.",
        "give a login that the database programs can take",
    ),
    "database-name-invalid": Code(
        DATABASE,
        "A database has a name that no database server can have or that would not survive a command line.",
        "correct the names of the databases",
    ),
    "database-packet-too-small": Code(
        DATABASE,
        "One row of the dump is larger than the database server accepts in one packet.",
        "raise max_allowed_packet of the database server (SET GLOBAL max_allowed_packet, and its configuration file), then run again",
        "mariadb -e 'SET GLOBAL max_allowed_packet = 1073741824'",
    ),
    "database-privilege-missing": Code(
        DATABASE,
        "The database account lacks a privilege; the message names it.",
        "grant the privilege, then run again",
    ),
    "database-server-older": Code(
        DATABASE,
        "The dump was made on a newer major version than this database server.",
        "restore onto a server that is not older, or give accept_newer_server=true (restore_accept_newer_database) to try it",
    ),
    "database-sql-mode-unknown": Code(
        DATABASE,
        "Triggers or routines of the dump need an sql_mode that this database server does not know.",
        "restore onto a database server of the same kind, or drop the triggers and routines on the source and back up again",
    ),
    "database-table-names": Code(
        DATABASE,
        "The two database servers disagree about upper case in names of tables, and Seafile would not find its tables.",
        "set lower_case_table_names as it was on the source (0 on Linux); MySQL 8 takes it only when its data directory is made",
    ),
    "database-tls": Code(
        DATABASE,
        "The encrypted connection to the database server could not be made.",
        "connect through the server's Unix socket (login_unix_socket), or put the server's certificate authority into this machine's trust store",
    ),
    "database-unknown": Code(
        DATABASE,
        "There is no database of that name, or the account may not see it, or it is not Seafile's own.",
        "correct the name of the database, in Seafile's configuration or in the option",
    ),
    "database-unreachable": Code(
        DATABASE,
        "No database server answers where Seafile's configuration, or an option, says that there is one.",
        "start the database server, or correct its address in Seafile's configuration or in login_host, login_port or login_unix_socket",
        "systemctl status mariadb",
    ),
    "database-view-broken": Code(
        DATABASE,
        "A view cannot be dumped because its table, its column or its definer is gone.",
        "drop or mend the view: its table, column or definer is gone",
    ),
    "databases-many-accounts": Code(
        DATABASE,
        "Seafile uses several database accounts of which none sees all databases, so that no single moment can be dumped.",
        "give login_user and login_password of an account that may read all of them",
    ),
    "databases-not-one-server": Code(
        DATABASE,
        "Seafile's databases are on different servers, so that there is no single moment over all of them.",
        "give login_host and login_user of a server that has all of them, or dump each by itself with databases",
    ),
    "docker-unsupported": Code(
        PREFLIGHT,
        "This is the volume of a Docker deployment; its database runs in a container.",
        "wait for the release that dumps through containers; this one backs up deployments whose database it can reach by itself",
    ),
    "drill-running": Code(
        DRILL,
        "Another drill of this server began within the same second.",
        "run again in a moment",
    ),
    "dump-damaged": Code(
        DUMP,
        "A dump in a set is cut short, or is not the file that was sealed.",
        "choose another set, or fetch the dump again; nothing was imported",
    ),
    "dump-exists": Code(
        DUMP,
        "There is a file in the place of a dump; dumps are never overwritten.",
        "name an empty directory as dest; a dump is never overwritten",
    ),
    "dump-failed": Code(
        DUMP,
        "The dump program, or the program that compresses, ended with an error; its words stand in the message.",
        "read the program's message, then run again",
    ),
    "dump-incomplete": Code(
        DUMP,
        "The dump program said that all is well, but its output lacks the trailer or expected tables.",
        "look at the database server's log and at the dump program's version, then run again; no file was kept",
    ),
    "dump-killed": Code(
        DUMP,
        "The dump program, or the program that compresses, was killed by a signal.",
        "find out who ended it (memory, a reboot), then run again; no file was kept",
        "journalctl -k --since -1h",
    ),
    "dump-missing": Code(
        DUMP,
        "A dump that should be there is not.",
        "run the backup again; the set stays partial",
    ),
    "dump-wrong-database": Code(
        DUMP,
        "The dump is that of another database: it has none of the tables that are looked for.",
        "name the dump of Seafile's own database (its role in the manifest is seafile)",
    ),
    "engine-mismatch": Code(
        DATABASE,
        "SQLite was met where MySQL was expected, or the reverse, or both at once.",
        "use the module for the other engine",
    ),
    "export-dest": Code(
        LIBRARY,
        "Files cannot be exported to that directory: it is relative, inside the backup, or there is something else in its place.",
        "give dest as the absolute path of a directory outside the backup, which may be missing",
    ),
    "export-incomplete": Code(
        LIBRARY,
        "Some files could not be exported; the others are there.",
        "look at damaged, refused and conflicts in the result; another set or an older commit may have the damaged files whole",
    ),
    "export-too-large": Code(
        LIBRARY,
        "The export would have more entries than are made at once.",
        "export its folders one by one",
    ),
    "fsck-failed": Code(
        VERIFY,
        "Seafile's own seaf-fsck did not do its work; its words stand in the message.",
        "read what it said, and run Seafile's seaf-fsck.sh by hand as the user that runs Seafile",
    ),
    "fsck-refused": Code(
        VERIFY,
        "Seafile's own seaf-fsck only runs as the owner of seafile-data, and that is another account than the one that runs it.",
        "give seafile-data the owner that runs Seafile (chown), or look why they differ",
    ),
    "fsck-timeout": Code(
        VERIFY,
        "Seafile's own seaf-fsck had not ended after the given time.",
        "give it more time (timeout), or fewer libraries (libraries)",
    ),
    "gc-running": Code(
        PREFLIGHT,
        "A garbage collection (seafserv-gc) is at work on the server. It removes objects that a dump made meanwhile may still point at, so it is waited "
        "for (backup_gc_wait), and then the run stops.",
        "wait until seafserv-gc has ended, then run again",
        "pgrep -af seafserv-gc",
    ),
    "host-key-changed": Code(
        ACCESS,
        "The server shows another ssh host key than the one that was pinned. Either it was reinstalled, or somebody answers in its place; nothing was "
        "transferred.",
        "find out why the host has a new key; if it was reinstalled, run the playbook prepare again",
        "ansible-playbook seafleet.seafile.prepare -i INVENTORY -l SERVER",
    ),
    "host-key-unknown": Code(
        ACCESS,
        "No ssh host key is pinned for the server, and none is ever learned from the network.",
        "run the playbook prepare, which pins the host key",
        "ansible-playbook seafleet.seafile.prepare -i INVENTORY -l SERVER",
    ),
    "identity-changed": Code(
        PREFLIGHT,
        "The server that answers has none of the libraries that were there at the newest set: another host stands behind the name. What is kept of the "
        "right one is not touched.",
        "correct the server's address or seafile_root in the inventory; if another server is meant to go on under this name, give "
        "backup_accept_identity=true once",
        "ansible-playbook seafleet.seafile.backup -i INVENTORY -l SERVER -e backup_accept_identity=true",
    ),
    "import-failed": Code(
        RESTORE,
        "A dump could not be imported; its words stand in the message.",
        "read the cause; the databases there were left as they are",
    ),
    "import-incomplete": Code(
        RESTORE,
        "After the import, tables or rows are missing.",
        "restore another set; the database was dropped again",
    ),
    "key-unusable": Code(
        ACCESS,
        "The key on the backup host could not be made or read.",
        "look at the named file; a key with a passphrase is of no use here",
    ),
    "library-ambiguous": Code(
        LIBRARY,
        "Several libraries have that name.",
        "give the library's id in place of its name",
    ),
    "library-damaged": Code(
        LIBRARY,
        "The library, or what was asked of it, is not whole in this set.",
        "take another set, or an older commit of the library",
    ),
    "library-encrypted-new-id": Code(
        LIBRARY,
        "The library is encrypted, and its password is checked against its id, so that it cannot simply get another one.",
        "bring it back under its own id (mode new or replace), or give the library's password",
    ),
    "library-encryption-unknown": Code(
        LIBRARY,
        "The library is encrypted in a way that is not known here.",
        "take the library out with a Seafile client; 1 to 4 are known here",
    ),
    "library-exists": Code(
        LIBRARY,
        "The server has this library already, or has it in its trash.",
        "look at the library on the server; to bring back an older state beside it use mode as_new, in its place mode replace",
    ),
    "library-extract-damaged": Code(
        LIBRARY,
        "What library_extract wrote did not arrive whole.",
        "run library_extract again and fetch what it wrote",
    ),
    "library-group-gone": Code(
        LIBRARY,
        "The library belongs to, or was shared with, groups that the server no longer has.",
        "create the group again, or name an owner, by which shares to groups that are gone are left out",
    ),
    "library-id-invalid": Code(
        LIBRARY,
        "What was given is not the id of a library: 36 characters in lower case.",
        "copy the library's id from the findings or from the list of libraries",
    ),
    "library-is-sub-library": Code(
        LIBRARY,
        "This library is a folder of another one that is shared by itself; it cannot come back without it.",
        "give the library that it is a folder of",
    ),
    "library-key-damaged": Code(
        LIBRARY,
        "The key of this encrypted library, which lies in its commits, is damaged.",
        "take another set, or an older commit of the library; without its key nothing can be decrypted",
    ),
    "library-owner-gone": Code(
        LIBRARY,
        "The library's owner is no account of the server any more.",
        "name an account of this server as owner",
    ),
    "library-password-missing": Code(
        LIBRARY,
        "The library is encrypted, and no password was given.",
        "give the library's password",
    ),
    "library-password-wrong": Code(
        LIBRARY,
        "The password does not open the library.",
        "give the password that the library had when the set was made",
    ),
    "library-path-unknown": Code(
        LIBRARY,
        "The library has no such file or folder in this set.",
        "list the folder above it with library_info",
    ),
    "library-schema-differs": Code(
        LIBRARY,
        "The tables of the server differ from those of the set in a way that would lose something.",
        "bring the server to the version of Seafile that the set was made with, or export the library's files",
    ),
    "library-unknown": Code(
        LIBRARY,
        "There is no such library in the set or on the server.",
        "compare the library's id with the list of libraries",
    ),
    "list-invalid": Code(
        PULL,
        "The server's list of what is new is not of the form that it must have.",
        "run the backup again; if it comes back, remove the state directory of this backup host on the server, which is safe to lose",
    ),
    "missing-tool": Code(
        PREFLIGHT,
        "A program that is needed is not installed on the host that the message names: rsync, ssh, a dump program or a database client.",
        "install the named tool on the named host",
        "apt-get install rsync openssh-client mariadb-client",
    ),
    "no-inodes": Code(
        PREFLIGHT,
        "The file system still has bytes free, but can hold hardly any more files (inodes). Each object of a library is a file.",
        "free inodes, or use a file system that makes them as they are needed (XFS, Btrfs) or was made with more of them, then run again",
        "df -i /srv/seafile-backup",
    ),
    "no-result": Code(
        FLEET,
        "The run ended for this server without saying how, which is a defect or an interruption; its failed task stands further up.",
        "read the failed task further up, mend what it names, and run again for this server",
        "ansible-playbook seafleet.seafile.backup -i INVENTORY -l SERVER",
    ),
    "no-rights": Code(
        PREFLIGHT,
        "The account that runs this may not read or write something that it must.",
        "run the module as root or as the user that owns the Seafile directory (become: true)",
    ),
    "no-safety-copy": Code(
        ROLLBACK,
        "There is no safety copy: no restore has put anything aside.",
        "look at the list (safety_copy_info, or the playbook rollback with -e rollback_list=true); to have the state of a set, restore it",
    ),
    "no-seafile": Code(
        PREFLIGHT,
        "There is no Seafile in the directory that was given, or not even a directory.",
        "give the directory that holds conf (or ccnet) and seafile-data as seafile_root",
    ),
    "no-set": Code(
        CHOICE,
        "There is no set that fits what was asked for.",
        "look at the list of sets with backup_set_info, and name one of them",
        "ansible -i INVENTORY BACKUP_HOST -m seafleet.seafile.backup_set_info -a 'backup_root=/srv/seafile-backup server=SERVER'",
    ),
    "no-space": Code(
        PREFLIGHT,
        "Too few bytes are free for what is to come; the message says how many are free and how many are needed. What was made before stays usable.",
        "free the named space or use a larger file system, then run again",
        "df -h",
    ),
    "nontransactional-lock": Code(
        DUMP,
        "Some tables cannot be held still by a snapshot, and the account may not lock them.",
        "GRANT RELOAD ON *.* to that user, or convert the tables (ALTER TABLE ... ENGINE=InnoDB), or set nontransactional to warn",
    ),
    "nontransactional-tables": Code(
        DUMP,
        "Some tables (MyISAM, Aria, MEMORY) cannot be held still by a snapshot, and the run was told to stop in that case.",
        "convert the tables (ALTER TABLE ... ENGINE=InnoDB), or set nontransactional to lock or warn",
    ),
    "not-a-drill": Code(
        DRILL,
        "A directory or databases that a drill should remove were not made by one.",
        "give the path that drill_place returned; remove anything else by hand",
    ),
    "not-prepared": Code(
        ACCESS,
        "The backup host has no key for this server, or no file with its host key.",
        "run the playbook prepare for this server",
        "ansible-playbook seafleet.seafile.prepare -i INVENTORY -l SERVER",
    ),
    "object-store-elsewhere": Code(
        PREFLIGHT,
        "The objects of this server do not lie in files below seafile-data/storage, but in S3, Ceph, OpenStack, or behind a link. Half a backup is "
        "none, so nothing is done.",
        "back up the object store with its own tools; this collection copies only objects below seafile-data/storage",
    ),
    "order": Code(
        RUN,
        "Stages of a run were called in another order than databases, files, objects.",
        "run the stages in their order: dumps, files, objects",
    ),
    "os-error": Code(
        ANY,
        "The operating system refused something that no other code foresaw; the message names the file and the cause.",
        "read the cause, mend the file system or the rights, and run again",
    ),
    "owner-wrong": Code(
        RESTORE,
        "Files of the restored server do not have the owner and modes that they must have. Seafile, started like this, would take every library for "
        "lost and write a new one.",
        "give everything to the account that Seafile runs as (file_attributes with state applied), before anything is started",
    ),
    "path-invalid": Code(
        INPUT,
        "A path is relative, leaves its directory, or holds a line break.",
        "give a plain path below the named directory, without .. and not absolute",
    ),
    "place-url-invalid": Code(
        INPUT,
        "What was given as the server's address is no web address by which people could reach it.",
        "give the address as https://files.example.org or http://files.example.org:8000, without user, question mark and fragment",
    ),
    "place-value-invalid": Code(
        INPUT,
        "A value for the restored server cannot stand in the configuration file that it belongs into.",
        "choose another value, one that the named configuration file can hold",
    ),
    "private-database-failed": Code(
        DRILL,
        "The database server that a drill starts for itself did not start, or did not end.",
        "read what the database server said, then run again, or name a database server with drill_db_login_*",
    ),
    "pull-access-denied": Code(
        ACCESS,
        "The pull account on the server refuses the backup host's key.",
        "run the playbook prepare, which authorises the backup host's key",
        "ansible-playbook seafleet.seafile.prepare -i INVENTORY -l SERVER",
    ),
    "pull-access-refused": Code(
        ACCESS,
        "The restricted account let the backup host in, and refused what it asked for.",
        "run the playbook prepare; the path must lie below seafile_pull_root",
    ),
    "pull-access-too-wide": Code(
        ACCESS,
        "The backup host's key opens more on the server than a backup needs. Whoever takes over the backup host has that too.",
        "run the playbook prepare; if it says this itself, look into authorized_keys of the account for another line with the same key, and into "
        "sshd_config",
        "ansible-playbook seafleet.seafile.prepare -i INVENTORY -l SERVER",
    ),
    "pull-access-untold": Code(
        ACCESS,
        "The server did not answer all questions about what the backup host's key may do, so it is not known.",
        "run the playbook prepare again; sshd's MaxStartups and the firewall may refuse several connections at once",
    ),
    "pull-account-failed": Code(
        ACCESS,
        "The account on the server could not be made or removed.",
        "read the message of the program, then run again",
    ),
    "pull-account-foreign": Code(
        ACCESS,
        "There is an account of this name that was not made by the role pull_access. It would be given the right to read every file of the server.",
        "name another account in seafile_pull_account",
    ),
    "pull-account-privileged": Code(
        ACCESS,
        "sudo lets the pull account run commands as another one.",
        "take the account out of sudoers",
    ),
    "pull-account-unrestricted": Code(
        INPUT,
        "An account of its own can read every file of the server, so it is never made without a forced command.",
        "leave seafile_pull_restricted out where seafile_pull_account is given",
    ),
    "python-library-missing": Code(
        LIBRARY,
        "A Python package that only this work needs is not there.",
        "install the Python package for the Python that Ansible uses on the named host (Debian: python3-cryptography), then run again",
    ),
    "read-only": Code(
        PREFLIGHT,
        "A file system that is to be written to is mounted read-only; often the kernel did that after disk errors.",
        "mount the file system for writing, then run again",
        "dmesg | tail -n 50; findmnt -no OPTIONS -T /srv/seafile-backup",
    ),
    "record-damaged": Code(
        RESTORE,
        "A record that an import or a return of a library keeps cannot be read.",
        "remove the named file; the databases are then compared by their tables alone",
    ),
    "report-mode": Code(
        REPORT,
        "The mode for the files of the report is no octal number, or makes them executable.",
        "give the mode as an octal number in quotes, such as '0640'",
    ),
    "report-places": Code(
        REPORT,
        "The report was given something else than the results of catalogue_info, or hours that are no number.",
        "call the role report, or look at the documentation of fleet_report",
    ),
    "restore-not-begun": Code(
        RESTORE,
        "A later stage of a restore was called, and no restore has begun in this directory.",
        "run the restore from its beginning",
    ),
    "result-invalid": Code(
        REPORT,
        "What was given as the result of a run is none, so that it cannot be kept under its name.",
        "give the result as fleet_summary returned it",
    ),
    "retention-incomplete": Code(
        RETAIN,
        "A set or a safety copy was taken away, but not all of its files could be removed. What is left stands under a name that nobody takes for one.",
        "mend the rights or attributes of what is named, then run again, which removes the rest",
        "lsattr -d /srv/seafile-backup/SERVER/sets/.*",
    ),
    "retention-policy": Code(
        RETAIN,
        "A number of the policy is out of its range. What keeps sets safe can be raised and not lowered: nothing younger than seven days goes, "
        "nor the two newest verified sets.",
        "correct the number; docs/retention.md tells what each one means",
    ),
    "rollback-differs": Code(
        ROLLBACK,
        "After the rollback some tables are not as they were when the safety copy was made.",
        "compare the named tables with the copy's dumps before Seafile is started; what was there before the rollback is kept as a safety copy",
    ),
    "rollback-elsewhere": Code(
        ROLLBACK,
        "The safety copy's databases belong to another database server than the one that was reached.",
        "give login_host, login_port or login_unix_socket of the server that the copy's databases were dumped on",
    ),
    "rollback-not-confirmed": Code(
        ROLLBACK,
        "A rollback replaces what is there, and was not confirmed.",
        "give rollback_confirm equal to the server's inventory name",
        "ansible-playbook seafleet.seafile.rollback -i INVENTORY -l SERVER -e rollback_confirm=SERVER",
    ),
    "rollback-unfinished": Code(
        ROLLBACK,
        "An earlier rollback of this server was interrupted.",
        "run the interrupted rollback to its end first",
    ),
    "rsync-failed": Code(
        PULL,
        "rsync ended with an error that has no code of its own; its words stand in the message.",
        "read rsync's message, then run again; what has arrived is kept",
    ),
    "rsync-killed": Code(
        PULL,
        "rsync was killed by a signal.",
        "find out who ended rsync (memory, a reboot), then run again; what has arrived is kept",
        "journalctl -k --since -1h",
    ),
    "rsync-too-old": Code(
        PREFLIGHT,
        "rsync on the host that the message names is older than 3.1.0 and does not know options that are used here.",
        "install rsync 3.1.0 or newer on that host",
        "rsync --version | head -n 1",
    ),
    "run-active": Code(
        RUN,
        "Another run of this server is at work; the message says since when and by which process. One run at a time.",
        "wait for that run, or end it; the run of a dead process is taken over by itself",
    ),
    "run-lost": Code(
        RUN,
        "This run no longer holds the server's lock, because another one took over.",
        "another run took over; look at its result",
    ),
    "safety-copy-damaged": Code(
        ROLLBACK,
        "The safety copy is not as it was made.",
        "choose another safety copy; nothing was changed",
    ),
    "safety-copy-unknown": Code(
        ROLLBACK,
        "There is no safety copy of that moment.",
        "choose one of the list (safety_copy_info, or the playbook rollback with -e rollback_list=true)",
    ),
    "safety-copy-used": Code(
        ROLLBACK,
        "This safety copy was brought back already, and more has happened since.",
        "choose another safety copy by its moment",
    ),
    "seafile-running": Code(
        RESTORE,
        "Seafile is running on the target. A restore under a running server would be overwritten by it.",
        "stop Seafile, or set restore_service_units or restore_service_scripts so that the restore does",
    ),
    "server-hostile": Code(
        PULL,
        "The other end of a pull sent what nobody had asked for: a path outside, a file that is no object, other content for an object that is here "
        "already. An honest rsync never does that. What was in the backup is unchanged; what came instead is kept in quarantine/unasked where it came at all.",
        "look at the server as one that somebody else has taken over; the backup before this run is whole",
    ),
    "server-name": Code(
        INPUT,
        "The server's name in the inventory cannot be the name of a directory.",
        "rename the host in the inventory, without slash and leading dot",
    ),
    "server-unreachable": Code(
        ACCESS,
        "The access was removed on the backup host, and the server could not be reached, so that its half is still there. Without the key it opens "
        "nothing.",
        "run it again when the server is there; if it is gone for ever, give pull_access_server_gone=true",
    ),
    "set-damaged": Code(
        CHOICE,
        "Files of a sealed set (dump, manifest, checksums) are missing, or were changed after sealing.",
        "restore another set; do not edit sets by hand",
        "cd /srv/seafile-backup/SERVER/sets/SET && sha256sum -c SHA256SUMS",
    ),
    "set-id-invalid": Code(
        INPUT,
        "A set id is a UTC time such as 20261123T030000Z. New ones must be later than every set there is, and not lie in the future.",
        "give a set id of the form 20261123T030000Z that is later than every set there is, or none",
    ),
    "set-incomplete": Code(
        VERIFY,
        "Objects that a set's databases point at are missing or damaged in the backup. The message names libraries and files; earlier sets are not "
        "touched.",
        "take an older set; or name the damaged libraries to go on without them",
    ),
    "source-damaged": Code(
        VERIFY,
        "Too many objects on the server itself are not what their ids promise: a disk that fails, or somebody who encrypts or overwrites files. Found by "
        "a sample before a backup begins, or among what came new. What was stored before is never replaced by it, and earlier sets can be restored.",
        "look at the server first: disk, memory, strange processes; restore the newest verified set if it was attacked. If this damage is known, raise "
        "backup_damage_limit (percent; 100 takes whatever there is)",
        "dmesg | tail -n 50; ls -lt /opt/seafile/seafile-data/storage/blocks | head",
    ),
    "source-missing": Code(
        PULL,
        "What is to be pulled is not there on the server, or nothing tells where the objects come from.",
        "compare seafile_root with the server's real directory",
    ),
    "source-unreadable": Code(
        PULL,
        "The pull account may not read some files on the server; the set was not sealed without them.",
        "give the pull account read access to the named files, then run again",
    ),
    "sqlite-corrupt": Code(
        DATABASE,
        "A SQLite database on the server is damaged, empty, or no SQLite database.",
        "repair the database on the server (a copy of it with sqlite3's .recover, or the last good set) before the next backup",
    ),
    "sqlite-exists": Code(
        RESTORE,
        "In the place of the SQLite database to be imported there is one with other content.",
        "compare the files, then set replace to true to have this one replaced",
    ),
    "sqlite-locked": Code(
        DATABASE,
        "A process held the SQLite database locked for longer than was waited.",
        "stop the named processes or raise busy_timeout, then run again",
    ),
    "sqlite-missing": Code(
        DATABASE,
        "A SQLite database that Seafile's configuration names is not there.",
        "bring the database back (from the last good set) or correct the configuration that names it; nothing was created",
    ),
    "sqlite-not-text": Code(
        DATABASE,
        "A table of a SQLite database cannot be written as SQL text.",
        "report it with the table's definition; the file as a whole was not dumped",
    ),
    "storage-empty": Code(
        PREFLIGHT,
        "The object store is there and holds no library: most often its file system is not mounted.",
        "mount the file system of the storage directory, then run again",
        "findmnt -T /opt/seafile/seafile-data/storage",
    ),
    "storage-missing": Code(
        PREFLIGHT,
        "There is no object store where Seafile keeps it: most often its file system is not mounted.",
        "mount the file system of the storage directory, then run again",
        "findmnt -T /opt/seafile/seafile-data/storage",
    ),
    "target-not-directory": Code(
        RESTORE,
        "In the place of the Seafile directory there is something that is no directory.",
        "move it away; the Seafile directory is made by the restore",
    ),
    "target-not-empty": Code(
        RESTORE,
        "The target directory or one of its databases holds something, and the restore was not told that this may be replaced.",
        "look at what is there; set replace to true to have it replaced",
        "ansible-playbook seafleet.seafile.restore -i INVENTORY -l SERVER -e restore_confirm=SERVER",
    ),
    "time-invalid": Code(
        INPUT,
        "A moment is not written as it must be.",
        "give the time in UTC as 2026-11-23T03:00:00Z",
    ),
    "transfer-damaged": Code(
        PULL,
        "A file that arrived is not the one that was sent: its checksum differs.",
        "run again; if it comes back, check memory, disks and network of both hosts",
    ),
    "unknown-layout": Code(
        PREFLIGHT,
        "Parts of Seafile are in the directory, but it is no installation that is known: half installed, half removed, or the wrong level.",
        "finish the installation of Seafile, or give the directory above it as seafile_root",
    ),
    "unreachable": Code(
        FLEET,
        "Ansible could not reach the named host, or lost the connection to it: it is down, its address, account or key is wrong, or the network is cut.",
        "see that the named host is up and that Ansible reaches it, then run again",
        "ansible -i INVENTORY SERVER -m ping",
    ),
    "verification-interrupted": Code(
        VERIFY,
        "A process of the verification ended before its work was done.",
        "see whether memory ran out (journalctl -k); give fewer processes or more memory, then verify again",
        "journalctl -k --since -1h",
    ),
}
