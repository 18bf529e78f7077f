"""fsck: every check over one database, one store and this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fairlead.server.maintenance import content_checks, job_checks, machine_checks, row_checks
from fairlead.server.maintenance.findings import Check, Finding, Ground

CHECKS: tuple[tuple[str, Check], ...] = (
    ("the schema", row_checks.schema_itself),
    ("the database itself", row_checks.database_itself),
    ("the audit log", row_checks.audit_guards),
    ("administrators", row_checks.someone_in_charge),
    ("versions", row_checks.dense_versions),
    ("aliases", row_checks.aliases),
    ("uses", row_checks.uses),
    ("deleted versions", row_checks.deleted_versions),
    ("services", row_checks.service_rows),
    ("jobs", job_checks.job_rows),
    ("uses by jobs", job_checks.job_uses),
    ("nodes of pools", job_checks.pool_uses),
    ("secrets", row_checks.sealed_rows),
    ("contents that are needed", content_checks.needed_contents),
    ("contents that were uploaded", content_checks.owned_contents),
    ("bytes of workspaces", content_checks.counted_bytes),
    ("uploads", machine_checks.stale_uploads),
    ("workloads of this machine", machine_checks.workloads),
    ("drivers of this machine", job_checks.drivers),
)


@dataclass(frozen=True)
class Report:
    findings: list[Finding]
    checked: int


def check(ground: Ground, say: Callable[[str], None], *, repair: bool) -> Report:
    """An old schema is found and nothing else: its rows are not those that the checks know."""
    found: list[Finding] = []
    for name, each in CHECKS:
        say(f"Checking {name}")
        here = list(each(ground))
        found += _repaired(ground, each) if here and repair else here
        if any(finding.what == "schema-old" for finding in found):
            break
    return Report(found, ground.checked)


def _repaired(ground: Ground, again: Check) -> list[Finding]:
    """The same check in a transaction that writes: it holds up others only where there is something to mend."""
    with ground.database.engine.connect().execution_options(fairlead_writes=True) as connection, connection.begin():
        return list(again(replace(ground, connection=connection, repair=True)))
