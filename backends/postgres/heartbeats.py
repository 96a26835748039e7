"""Heartbeats in PostgreSQL. (`heartbeat` is a worker's own.)"""

from __future__ import annotations

from backends.postgres.paging import Order, PagedList, shape_of
from backends.postgres.table import Table, Writer
from controlplane.heartbeats.list import HEARTBEATS
from controlplane.heartbeats.model import Heartbeat, HeartbeatDirectory, HeartbeatStore
from controlplane.heartbeats.refusals import NO_HEARTBEAT


class Heartbeats(PagedList[Heartbeat], HeartbeatDirectory):
    shape = shape_of(HEARTBEATS, "wf.heartbeat_list", tie=(), orders={"name": Order("name", "text")})


class HeartbeatWriter(Writer[Heartbeat], HeartbeatStore):
    table = Table("wf.heartbeats", Heartbeat, ("name",), NO_HEARTBEAT, view="wf.heartbeat_list")
