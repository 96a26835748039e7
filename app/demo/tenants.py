"""The estate's tenants and projects, in one change."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from app.demo.estate import Estate, Firm, Project
from app.demo.site import Site

COLUMNS = (
    "id, name, status, plan, region, allowed_regions, owner_email, metadata, protected, created_at, updated_at, "
    "suspended_at, suspension_reason"
)
PROJECT_COLUMNS = "tenant_id, id, name, status, created_at, updated_at, archived_at"


def seed(estate: Estate, site: Site) -> None:
    site.report(f"tenants: {len(estate.firms)} in five plans and four regions")
    default, *others = estate.firms
    with site.change("demo.load", f"the demonstration estate, seed {estate.seed}") as connection:
        connection.execute(
            "UPDATE wf.tenants SET plan = %s, region = %s, owner_email = %s, metadata = %s WHERE id = %s",
            [default.plan, default.region, default.owner_email, Jsonb(default.metadata), default.id],
        )
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY wf.tenants ({COLUMNS}) FROM STDIN") as copy:
                for firm in others:
                    copy.write_row(_tenant(firm))
            with cursor.copy(f"COPY wf.projects ({PROJECT_COLUMNS}) FROM STDIN") as copy:
                for firm in estate.firms:
                    for project in firm.projects:
                        copy.write_row((firm.id, *_project(project)))


def _tenant(firm: Firm) -> tuple[object, ...]:
    what = (firm.plan, firm.region, firm.allowed_regions, firm.owner_email, Jsonb(firm.metadata), firm.protected)
    status, changed = ("suspended", firm.suspended_at) if firm.suspended_at else ("active", firm.created_at)
    return (firm.id, firm.name, status, *what, firm.created_at, changed, firm.suspended_at, firm.suspension_reason)


def _project(project: Project) -> tuple[object, ...]:
    status, changed = ("archived", project.archived_at) if project.archived_at else ("active", project.created_at)
    return (project.id, project.name, status, project.created_at, changed, project.archived_at)
