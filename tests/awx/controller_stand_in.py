# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the REST API of AWX: it is not AWX, and runs no job.

It keeps the objects that the modules of awx.awx make, in memory, and answers as that API does: pages of results, C(related) links,
secrets as C($encrypted$), 204 for an association. It is stricter than AWX, which ignores a field that it does not know: here
that is an error, and so is a filter that nothing has. The field lists are those of AWX 24.6; so are the rules for what awx.awx
cannot know: a playbook must be a file of the project that AWX would offer, a schedule's rule must be one it takes, an injector may only
name fields of its credential type, a survey's question must be whole.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import re
import threading
import typing as t
import urllib.parse
import zoneinfo

TOKEN = "stand-in-token"  # noqa: S105
ENCRYPTED = "$encrypted$"
PROMPTS = {"inventory", "scm_branch", "job_type", "job_tags", "skip_tags", "limit", "diff_mode", "verbosity", "execution_environment", "forks",
           "job_slice_count", "timeout"}
NOTIFICATIONS = {f"notification_templates_{moment}": "notification_templates" for moment in ("started", "success", "error")}
ASK = {f"ask_{what}_on_launch" for what in (
    "scm_branch", "diff_mode", "variables", "limit", "tags", "skip_tags", "job_type", "verbosity", "inventory", "credential",
    "execution_environment", "labels", "forks", "job_slice_count", "timeout", "instance_groups")}

# AWX offers as a playbook of a project what has such a line; releases before 2022 know the short names alone.
PLAYBOOK = re.compile(r"^\s*?-?\s*?(?:hosts|include|import_playbook):\s*?.*?$")


class Kind(t.NamedTuple):
    """What the API knows of one kind of object."""

    type: str
    fields: set[str]
    required: set[str]
    references: dict[str, str] = {}
    associations: dict[str, str] = {}
    unique: tuple[str, ...] = ("name", "organization")
    defaults: dict[str, t.Any] = {}


KINDS: dict[str, Kind] = {
    "organizations": Kind("organization", {"name", "description", "max_hosts", "default_environment"}, {"name"},
                          {"default_environment": "execution_environments"}, {**NOTIFICATIONS, "galaxy_credentials": "credentials"}, ("name",)),
    "credential_types": Kind("credential_type", {"name", "description", "kind", "managed", "inputs", "injectors"}, {"name", "kind"}, unique=("name",)),
    "credentials": Kind("credential", {"name", "description", "organization", "credential_type", "inputs", "user", "team"}, {"name", "credential_type"},
                        {"organization": "organizations", "credential_type": "credential_types"}, unique=("name", "organization", "credential_type")),
    "execution_environments": Kind("execution_environment", {"name", "description", "organization", "image", "credential", "pull"}, {"name", "image"},
                                   {"organization": "organizations", "credential": "credentials"}, unique=("name",)),
    "notification_templates": Kind("notification_template",
                                   {"name", "description", "organization", "notification_type", "notification_configuration", "messages"},
                                   {"name", "organization", "notification_type", "notification_configuration"}, {"organization": "organizations"}),
    "labels": Kind("label", {"name", "organization"}, {"name", "organization"}, {"organization": "organizations"}),
    "projects": Kind("project",
                     {"name", "description", "organization", "scm_type", "scm_url", "scm_branch", "scm_refspec", "scm_clean", "scm_track_submodules",
                      "scm_delete_on_update", "credential", "timeout", "scm_update_on_launch", "scm_update_cache_timeout", "allow_override",
                      "default_environment", "signature_validation_credential", "local_path"}, {"name", "scm_type"},
                     {"organization": "organizations", "credential": "credentials", "default_environment": "execution_environments"}, NOTIFICATIONS),
    "inventories": Kind("inventory", {"name", "description", "organization", "kind", "host_filter", "variables", "prevent_instance_group_fallback"},
                        {"name", "organization"}, {"organization": "organizations"}, defaults={"kind": "", "host_filter": None}),
    "inventory_sources": Kind("inventory_source",
                              {"name", "description", "inventory", "source", "source_path", "source_vars", "scm_branch", "credential", "enabled_var",
                               "enabled_value", "host_filter", "limit", "overwrite", "overwrite_vars", "timeout", "verbosity", "execution_environment",
                               "update_on_launch", "update_cache_timeout", "source_project"}, {"name", "inventory", "source"},
                              {"inventory": "inventories", "source_project": "projects", "execution_environment": "execution_environments"},
                              NOTIFICATIONS, ("name", "inventory")),
    "job_templates": Kind("job_template",
                          {"name", "description", "organization", "job_type", "inventory", "project", "playbook", "scm_branch", "forks", "limit", "verbosity",
                           "extra_vars", "job_tags", "force_handlers", "skip_tags", "start_at_task", "timeout", "use_fact_cache", "execution_environment",
                           "host_config_key", "survey_enabled", "become_enabled", "diff_mode", "allow_simultaneous", "job_slice_count",
                           "webhook_service", "webhook_credential", "prevent_instance_group_fallback"} | ASK, {"name", "job_type", "project", "playbook"},
                          {"organization": "organizations", "inventory": "inventories", "project": "projects",
                           "execution_environment": "execution_environments"},
                          {**NOTIFICATIONS, "credentials": "credentials", "labels": "labels"}),
    "workflow_job_templates": Kind("workflow_job_template",
                                   {"name", "description", "organization", "extra_vars", "survey_enabled", "allow_simultaneous", "inventory", "limit",
                                    "scm_branch", "job_tags", "skip_tags", "webhook_service", "webhook_credential"} | ASK, {"name"},
                                   {"organization": "organizations", "inventory": "inventories"},
                                   {**NOTIFICATIONS, "notification_templates_approvals": "notification_templates", "labels": "labels"}),
    "workflow_job_template_nodes": Kind("workflow_job_template_node",
                                        {"identifier", "workflow_job_template", "unified_job_template", "extra_data", "all_parents_must_converge"} | PROMPTS,
                                        {"identifier", "workflow_job_template"},
                                        {"workflow_job_template": "workflow_job_templates", "unified_job_template": "unified_job_templates"},
                                        {word + "_nodes": "workflow_job_template_nodes" for word in ("success", "failure", "always")},
                                        ("identifier", "workflow_job_template")),
    "schedules": Kind("schedule", {"name", "description", "rrule", "unified_job_template", "extra_data", "enabled"} | PROMPTS,
                      {"name", "rrule", "unified_job_template"}, {"unified_job_template": "unified_job_templates"},
                      unique=("name", "unified_job_template")),
}
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
MACHINE = {"name": "Machine", "kind": "ssh", "managed": True, "injectors": {}, "inputs": {"fields": [
    {"id": "username"}, {"id": "password", "secret": True}, {"id": "ssh_key_data", "secret": True}, {"id": "ssh_key_unlock", "secret": True},
    {"id": "become_method"}, {"id": "become_username"}, {"id": "become_password", "secret": True}]}}
QUESTION = {"question_name", "question_description", "required", "type", "variable", "min", "max", "default", "choices", "new_question"}


class Refused(Exception):
    """An answer other than success: its HTTP status, and what the body says."""

    def __init__(self, status: int, **body: t.Any) -> None:
        super().__init__(body)
        self.status, self.body = status, body


class Controller:
    """The objects of the stand-in, and the server that gives them out on a port of 127.0.0.1.

    :arg project: the directory that stands for the project's git repository.
    :arg page_size: objects on one page; small, so that a list has several.
    """

    def __init__(self, project: pathlib.Path, page_size: int = 2) -> None:
        self.project = project
        self.page_size = page_size
        self.objects: dict[str, dict[int, dict[str, t.Any]]] = {kind: {} for kind in KINDS}
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], dict[str, t.Any]] = {}
        self.writes: list[str] = []
        self._last = 0
        self._lock = threading.Lock()
        self.make("credential_types", dict(MACHINE))
        self.writes.clear()
        handler = type("Handler", (_Handler,), {"controller": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Controller:
        self._thread.start()
        return self

    def __exit__(self, *dummy: t.Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def named(self, kind: str, name: str) -> dict[str, t.Any]:
        """The one object of I(kind) that is called I(name)."""
        found, = (thing for thing in self.objects[kind].values() if name in (thing.get("name"), thing.get("identifier")))
        return found

    # -- the API ----------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        """Return the status and the body of the answer to one request.

        :raises Refused: the API would say no.
        """
        parts = [part for part in path.split("/") if part]
        if parts[:2] != ["api", "v2"]:
            raise Refused(404, detail="Not found.")
        kind, rest = parts[2], parts[3:]
        with self._lock:
            if method != "GET":
                self.writes.append(f"{method} {path}")
            if kind == "project_updates" and method == "GET":
                return 200, {"id": int(rest[0]), "status": "successful", "failed": False, "finished": "2027-01-01T00:00:00Z"}
            if kind == "unified_job_templates" and not rest and method == "GET":
                return 200, self._page(path, query, [self._shown(word, thing) for word in UNIFIED for thing in self.objects[word].values()])
            if kind not in KINDS:
                raise Refused(404, detail="Not found.")
            if not rest:
                if method == "GET":
                    return 200, self._page(path, query, [self._shown(kind, thing) for thing in self.objects[kind].values()], kind)
                if method == "POST":
                    return 201, self._shown(kind, self.make(kind, body))
                raise Refused(405, detail=f"Method {method} not allowed.")
            thing = self.objects[kind].get(int(rest[0]))
            if thing is None:
                raise Refused(404, detail="Not found.")
            if len(rest) == 1:
                return self._one(method, kind, thing, body)
            return self._part(method, kind, thing, rest[1], path, query, body)

    def _one(self, method: str, kind: str, thing: dict[str, t.Any], body: t.Any) -> tuple[int, t.Any]:
        if method == "GET":
            return 200, self._shown(kind, thing)
        if method == "PATCH":
            self._check(kind, {**thing, **body}, body)
            thing.update(self._kept(kind, thing, body))
            return 200, self._shown(kind, thing)
        if method == "DELETE":
            del self.objects[kind][thing["id"]]
            for linked in (numbers for (owner, _number, part), numbers in self.links.items() if KINDS[owner].associations[part] == kind):
                linked[:] = [number for number in linked if number != thing["id"]]
            return 204, None
        raise Refused(405, detail=f"Method {method} not allowed.")

    def _part(self, method: str, kind: str, thing: dict[str, t.Any], part: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if part == "survey_spec" and kind in ("job_templates", "workflow_job_templates"):
            if method == "POST":
                self.surveys[kind, thing["id"]] = _survey(body)
                return 200, None
            if method == "DELETE":
                self.surveys.pop((kind, thing["id"]), None)
                return 200, None
            return 200, self.surveys.get((kind, thing["id"]), {})
        target = KINDS[kind].associations.get(part)
        if target is None:
            raise Refused(404, detail="Not found.")
        linked = self.links.setdefault((kind, thing["id"], part), [])
        if method == "GET":
            return 200, self._page(path, query, [self._shown(target, self.objects[target][number]) for number in linked], target)
        number = body.get("id")
        if set(body) - {"id", "disassociate"} or number not in self.objects[target]:
            raise Refused(400, msg=f"{part}: {body} names nothing")
        if body.get("disassociate"):
            linked.remove(number)
        else:
            linked.append(number)
        return 204, None

    def make(self, kind: str, body: dict[str, t.Any]) -> dict[str, t.Any]:
        """Make one object."""
        about = KINDS[kind]
        # awx.awx tells its own helpers by it what a node is; AWX ignores that as it ignores all that is read-only
        body = {field: value for field, value in body.items() if field not in ("type",)}
        missing = {field: ["This field is required."] for field in about.required if body.get(field) in (None, "")}
        if missing:
            raise Refused(400, **missing)
        self._check(kind, body, body)
        for other in self.objects[kind].values():
            if all(other.get(field) == body.get(field) for field in about.unique):
                raise Refused(400, __all__=[f"{about.type} with this {' and '.join(about.unique)} already exists."])
        self._last += 1
        thing = {"id": self._last, **about.defaults, **self._kept(kind, {}, body)}
        self.objects[kind][self._last] = thing
        return thing

    def _kept(self, kind: str, before: dict[str, t.Any], body: dict[str, t.Any]) -> dict[str, t.Any]:
        if kind == "credentials" and "inputs" in body:
            old = before.get("inputs", {})
            return {**body, "inputs": {name: old.get(name) if value == ENCRYPTED else value for name, value in body["inputs"].items()}}
        return body

    def _shown(self, kind: str, thing: dict[str, t.Any]) -> dict[str, t.Any]:
        url = f"/api/v2/{kind}/{thing['id']}/"
        shown = {**thing, "type": KINDS[kind].type, "url": url, "summary_fields": {}, "related": {part: f"{url}{part}/" for part in KINDS[kind].associations}}
        if kind in ("job_templates", "workflow_job_templates"):
            shown["related"]["survey_spec"] = f"{url}survey_spec/"
        if kind == "projects":
            # the update that AWX begins by itself when a project is made
            shown["scm_revision"] = ""
            shown["summary_fields"]["current_update"] = {"id": thing["id"]}
        if kind == "credentials":
            secrets = {field["id"] for field in self._fields_of(thing["credential_type"]) if field.get("secret")}
            shown["inputs"] = {name: ENCRYPTED if name in secrets and value else value for name, value in thing.get("inputs", {}).items()}
        return shown

    def _page(self, path: str, query: dict[str, str], things: list[dict[str, t.Any]], kind: str | None = None) -> dict[str, t.Any]:
        known = (KINDS[kind].fields if kind else {"name", "organization"}) | {"id", "type"}
        number = int(query.get("page", 1))
        wanted = {name: value for name, value in query.items() if name != "page"}
        either = {name[4:]: value for name, value in wanted.items() if name.startswith("or__")}
        each = {name: value for name, value in wanted.items() if not name.startswith("or__")}
        for name in (*either, *each):
            if name not in known:
                raise Refused(400, detail=f"{kind or 'unified_job_templates'} has no field named '{name}'.")
        found = [thing for thing in things if all(_same(thing.get(name), value) for name, value in each.items())
                 and (not either or any(_same(thing.get(name), value) for name, value in either.items()))]
        begin = (number - 1) * self.page_size
        rest = {**wanted, "page": str(number + 1)}
        return {"count": len(found), "previous": None, "results": found[begin:begin + self.page_size],
                "next": f"{path}?{urllib.parse.urlencode(rest)}" if begin + self.page_size < len(found) else None}

    # -- what AWX would refuse --------------------------------------------------------------------------------------

    def _check(self, kind: str, whole: dict[str, t.Any], given: dict[str, t.Any]) -> None:
        about = KINDS[kind]
        unknown = set(given) - about.fields
        if unknown:
            raise Refused(400, detail=f"{about.type}: unknown fields {sorted(unknown)}")
        for field, target in about.references.items():
            kinds = UNIFIED if target == "unified_job_templates" else (target,)
            if given.get(field) not in (None, "") and not any(given[field] in self.objects[word] for word in kinds):
                raise Refused(400, **{field: [f"Invalid pk \"{given[field]}\" - object does not exist."]})
        special = getattr(self, f"_check_{kind}", None)
        if special:
            special(whole)

    def _fields_of(self, credential_type: int) -> list[dict[str, t.Any]]:
        return self.objects["credential_types"][credential_type].get("inputs", {}).get("fields", [])

    def _check_credential_types(self, whole: dict[str, t.Any]) -> None:
        if whole["kind"] not in ("cloud", "net") and not whole.get("managed"):
            raise Refused(400, kind=["Must be 'cloud' or 'net'"])
        fields = {field["id"] for field in whole.get("inputs", {}).get("fields", [])}
        for field in whole.get("inputs", {}).get("fields", []):
            if set(field) - {"id", "label", "type", "secret", "multiline", "help_text", "choices", "default", "format", "ask_at_runtime"}:
                raise Refused(400, inputs=[f"{field}: additional properties"])
        if set(whole.get("inputs", {}).get("required", [])) - fields:
            raise Refused(400, inputs=["required names no field"])
        injectors = whole.get("injectors", {})
        if set(injectors) - {"env", "extra_vars", "file"}:
            raise Refused(400, injectors=["only env, extra_vars and file"])
        for name, template in ((name, value) for part in injectors.values() for name, value in part.items()):
            words = set(re.findall(r"{{\s*([A-Za-z_]+)", template))
            if not words or words - fields - {"tower"}:
                raise Refused(400, injectors=[f"{name} uses an undefined field ({template})"])

    def _check_credentials(self, whole: dict[str, t.Any]) -> None:
        unknown = set(whole.get("inputs", {})) - {field["id"] for field in self._fields_of(whole["credential_type"])}
        if unknown:
            raise Refused(400, inputs=[f"'{sorted(unknown)}' is not a field of this type"])

    def _check_notification_templates(self, whole: dict[str, t.Any]) -> None:
        settings = whole["notification_configuration"]
        known = {"url": str, "http_method": str, "headers": dict, "username": str, "password": str, "disable_ssl_verification": bool}
        if whole["notification_type"] != "webhook" or set(settings) != set(known):
            raise Refused(400, detail=f"Missing or unknown fields for Notification Configuration: {sorted(set(settings) ^ set(known))}")
        wrong = [name for name, kind in known.items() if not isinstance(settings[name], kind)]
        if wrong:
            raise Refused(400, detail=f"Configuration field '{wrong}' incorrect type.")

    def _check_job_templates(self, whole: dict[str, t.Any]) -> None:
        if whole["playbook"] not in self.playbooks():
            raise Refused(400, playbook=["Playbook not found for project."])
        json.loads(whole.get("extra_vars") or "{}")

    def playbooks(self) -> list[str]:
        """The files of the project that AWX offers as playbooks."""
        return [str(path.relative_to(self.project)) for path in sorted(self.project.rglob("*.yml"))
                if any(PLAYBOOK.match(line) for line in path.read_text(encoding="utf-8").splitlines())]

    def _check_schedules(self, whole: dict[str, t.Any]) -> None:
        _rule(whole["rrule"])
        self._check_prompts(whole)

    def _check_workflow_job_template_nodes(self, whole: dict[str, t.Any]) -> None:
        self._check_prompts(whole)

    def _check_prompts(self, whole: dict[str, t.Any]) -> None:
        """What a schedule or a node hands on must be asked for by its template."""
        number = whole.get("unified_job_template")
        template = next((self.objects[word][number] for word in UNIFIED if number in self.objects[word]), {})
        for field in PROMPTS | {"extra_data"}:
            asked = {"extra_data": "variables", "job_tags": "tags"}.get(field, field)
            if whole.get(field) and not template.get(f"ask_{asked}_on_launch"):
                raise Refused(400, **{field: ["Field is not configured to prompt on launch."]})


def _same(value: t.Any, wanted: str) -> bool:
    return str(value) == wanted


def _rule(rule: str) -> None:
    """Refuse what AWX refuses of a schedule's rule (awx/api/serializers.py, validate_rrule)."""
    found = re.fullmatch(r"DTSTART(?:;TZID=(?P<zone>[^:]+)|):(?P<at>\d{8}T\d{6})(?P<utc>Z?) RRULE:(?P<rule>\S+)", rule)
    if not found:
        raise Refused(400, rrule=["Valid DTSTART required in rrule, and one RRULE."])
    if bool(found["zone"]) == bool(found["utc"]):
        raise Refused(400, rrule=["DTSTART cannot be a naive datetime."])
    # a machine without zone files cannot tell
    if found["zone"] and found["zone"] not in (zoneinfo.available_timezones() or {found["zone"]}):
        raise Refused(400, rrule=["A valid TZID must be provided (e.g., America/New_York)"])
    parts = dict(part.split("=", 1) for part in found["rule"].split(";"))
    if parts.get("FREQ") not in ("MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY") or "INTERVAL" not in parts:
        raise Refused(400, rrule=["FREQ and INTERVAL required in rrule."])
    if re.search(r"\d", parts.get("BYDAY", "")):
        raise Refused(400, rrule=["BYDAY with numeric prefix not supported."])


def _survey(body: t.Any) -> dict[str, t.Any]:
    if set(body) != {"name", "description", "spec"} or not body["spec"]:
        raise Refused(400, error=f"survey: {sorted(body)}")
    for question in body["spec"]:
        if set(question) != QUESTION or question["type"] not in ("text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect"):
            raise Refused(400, error=f"survey question: {sorted(set(question) ^ QUESTION)}")
        if not isinstance(question["required"], bool) or not isinstance(question["min"], int) or not isinstance(question["max"], int):
            raise Refused(400, error=f"survey question: types of {question}")
    if len({question["variable"] for question in body["spec"]}) < len(body["spec"]):
        raise Refused(400, error="survey: a variable twice")
    return body


class _Handler(http.server.BaseHTTPRequestHandler):
    controller: Controller
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        address = urllib.parse.urlsplit(self.path)
        status: int
        body: t.Any
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused(401, detail="Authentication credentials were not provided.")
            status, body = self.controller.answer(self.command, address.path, dict(urllib.parse.parse_qsl(address.query)), json.loads(text or "{}"))
        except Refused as refusal:
            status, body = refusal.status, refusal.body
        answer = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, *dummy: t.Any) -> None:
        """Say nothing: the tests look at what was stored."""
