"""What an operator can do with a tenant's projects. A project belongs to its tenant for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import field_validator

from controlplane.audit.model import AuditRow, Record
from controlplane.operations import Request, Risk, operation
from controlplane.tenants import rules
from controlplane.tenants.model import Project
from controlplane.tenants.operations import Id, Name, Version, readable

if TYPE_CHECKING:
    from controlplane.changes import Change


class OneProject(Request):
    """A project, as it was seen."""

    subject = ("tenant_id", "id")
    tenant_id: Id
    id: Id
    version: Version


class ProjectCreate(Request):
    subject = ("tenant_id", "id")
    makes = ("id",)
    tenant_id: Id
    id: Id
    name: str = ""

    _readable = field_validator("name")(readable)


class ProjectRename(OneProject):
    name: Name

    _readable = field_validator("name")(readable)


def of_row(row: AuditRow) -> Record:
    tenant_id, _, project_id = row.thing.partition("/")
    return {"tenant_id": tenant_id, "id": project_id, "version": (row.after or {}).get("version")}


def was_renamed(row: AuditRow) -> Record:
    return of_row(row) | {"name": (row.before or {}).get("name")}


@operation(
    "projects.create",
    ProjectCreate,
    role="operator",
    risk=Risk.PREVIEW,
    key="n",
    undo="projects.archive",
    undo_request=of_row,
)
async def create(change: Change, request: ProjectCreate) -> Project:
    """Create a project of a tenant."""
    rules.check_project_open(await change.tenants.lock(request.tenant_id))
    return await change.projects.create(request.tenant_id, request.id, request.name or request.id)


@operation(
    "projects.rename",
    ProjectRename,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    undo="projects.rename",
    undo_request=was_renamed,
)
async def rename(change: Change, request: ProjectRename) -> Project:
    """Give a project another display name."""
    project = await change.projects.lock(request.tenant_id, request.id)
    rules.check_version(project, request.version)
    return await change.projects.update(request.tenant_id, request.id, {"name": request.name})


@operation(
    "projects.archive",
    OneProject,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    undo="projects.restore",
    undo_request=of_row,
    fits=lambda project, now: rules.check_archive(project, True),
)
async def archive(change: Change, request: OneProject) -> Project:
    """Archive a project: its keys are refused until it is restored."""
    return await _set_archived(change, request, True)


@operation(
    "projects.restore",
    OneProject,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="projects.archive",
    undo_request=of_row,
    fits=lambda project, now: rules.check_archive(project, False),
)
async def restore(change: Change, request: OneProject) -> Project:
    """Bring an archived project back."""
    return await _set_archived(change, request, False)


async def _set_archived(change: Change, request: OneProject, archived: bool) -> Project:
    project = await change.projects.lock(request.tenant_id, request.id)
    rules.check_archive(project, archived)
    rules.check_version(project, request.version)
    columns = {
        "status": "archived" if archived else "active",
        "archived_at": change.now if archived else None,
    }
    return await change.projects.update(request.tenant_id, request.id, columns)
