"""The list of tenants: what it shows beyond its declaration."""

from __future__ import annotations

from controlplane.tenants.list import TENANTS, charts_of
from controlplane.tenants.model import Tenant
from screens.lists import ListScreen


class TenantsScreen(ListScreen[Tenant]):
    declared = TENANTS

    def charts_text(self) -> str:
        """The charts of the marked tenants beside each other, else of the one under the cursor."""
        marked = sorted(self.matching_marks())
        return charts_of(*marked) if len(marked) > 1 else super().charts_text()
