# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception family of this collection, and the one place that turns it into C(fail_json).

Domain code raises :class:`SeafileError`; a module's C(main()) calls :func:`run_module`. Nothing else
calls C(fail_json), so every failure has a stable code, names its object and tells the next step.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.seafleet.seafile.plugins.module_utils.audience import Abandoned, while_awaited
from ansible_collections.seafleet.seafile.plugins.module_utils.codes import CODES


class SeafileError(Exception):
    """A failure that a person can act on.

    :arg code: a key of :data:`codes.CODES`; stable, never reworded.
    :arg what: the thing that failed: a path, a database, a set id.
    :arg cause: why, in a few words, without any secret.
    :arg next_step: what to do; default: the code's own next step.
    :arg details: further values for the module's result (JSON types only).
    """

    def __init__(self, code: str, what: str, cause: str, next_step: str | None = None, **details: t.Any) -> None:
        self.code = code
        self.what = what
        self.cause = cause
        self.next_step = next_step or CODES[code].next_step
        self.details = details
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """One line: C(<what>: <cause>. Next: <next step>)."""
        return f"{printable(self.what)}: {printable(self.cause).rstrip('.')}. Next: {self.next_step}"

    def as_problem(self) -> dict[str, str]:
        """The same as a dictionary for lists of problems that preflight reports all at once."""
        return {"code": self.code, "message": self.message, "what": self.what, "cause": self.cause, "next_step": self.next_step}


def printable(text: str) -> str:
    """Return I(text) with control characters (newlines, terminal escapes) and lone surrogates written as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def run_module(module: t.Any, action: t.Callable[[t.Any], dict[str, t.Any]], awaited: bool = False) -> t.NoReturn:
    """Run I(action) with the AnsibleModule I(module) and exit with its result.

    :arg awaited: end the module, with its children, when nobody waits for it any more. For what may take hours, and can be killed anywhere.

    A :class:`SeafileError` becomes a failure with C(code), C(what) and C(next_step); an :class:`OSError` that no
    code foresaw becomes the code C(os-error) and names its file. Everything else is a defect and may show a traceback.
    """
    try:
        with while_awaited() if awaited else contextlib.nullcontext():
            result = action(module)
    except Abandoned:
        gone = SeafileError("controller-gone", "the module's result", "nobody waits for it any more")
        module.fail_json(msg=gone.message, code=gone.code, what=gone.what, next_step=gone.next_step)
    except SeafileError as error:
        module.fail_json(msg=error.message, code=error.code, what=error.what, next_step=error.next_step, **error.details)
    except OSError as error:
        problem = SeafileError("os-error", str(error.filename or module.params.get("dest") or "the system"), error.strerror or str(error))
        module.fail_json(msg=problem.message, code=problem.code, what=problem.what, next_step=problem.next_step)
    module.exit_json(**result)
    raise AssertionError("exit_json returned")
