"""What an operator can do with a tenant's projects. A project belongs to its tenant for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from controlplane.operations import Request, Risk, Subject, operation
from controlplane.tenants import rules
from controlplane.tenants.model import Project, Tenant
from controlplane.tenants.operations import Id, Name, Readable, Version
from controlplane.tenants.ports import ProjectStore, TenantStore

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
    name: Annotated[str, Readable] = ""


class ProjectRename(OneProject):
    name: Name


PROJECT = Subject(Project, lambda change, request: change.of(ProjectStore).lock((request.tenant_id, request.id)))
THEIR_TENANT = Subject(Tenant, lambda change, request: change.of(TenantStore).lock(request.tenant_id))


@operation(
    "projects.create",
    ProjectCreate,
    role="operator",
    risk=Risk.PREVIEW,
    key="n",
    undo="projects.archive",
    on=THEIR_TENANT,
    check=lambda tenant, now: rules.check_open(tenant, "given projects"),
)
async def create(change: Change, request: ProjectCreate, tenant: Tenant) -> Project:
    """Create a project for a tenant."""
    return await change.of(ProjectStore).create(
        {"tenant_id": request.tenant_id, "id": request.id, "name": request.name or request.id}
    )


@operation(
    "projects.rename",
    ProjectRename,
    role="operator",
    risk=Risk.CONFIRM,
    key="r",
    undo="projects.rename",
    on=PROJECT,
)
async def rename(change: Change, request: ProjectRename, project: Project) -> Project:
    """Change a project's display name."""
    return await change.of(ProjectStore).update((request.tenant_id, request.id), {"name": request.name})


@operation(
    "projects.archive",
    OneProject,
    role="operator",
    risk=Risk.CONFIRM,
    key="x",
    undo="projects.restore",
    on=PROJECT,
    check=lambda project, now: rules.check_archive(project, True),
)
async def archive(change: Change, request: OneProject, project: Project) -> Project:
    """Archive a project: its keys are refused until it is restored."""
    columns = {"status": "archived", "archived_at": change.now}
    return await change.of(ProjectStore).update((request.tenant_id, request.id), columns)


@operation(
    "projects.restore",
    OneProject,
    role="operator",
    risk=Risk.CONFIRM,
    key="t",
    undo="projects.archive",
    on=PROJECT,
    check=lambda project, now: rules.check_archive(project, False),
)
async def restore(change: Change, request: OneProject, project: Project) -> Project:
    """Bring an archived project back."""
    columns = {"status": "active", "archived_at": None}
    return await change.of(ProjectStore).update((request.tenant_id, request.id), columns)
