"""The group roles. The database decides; these only mirror it, so that a screen can leave out what is not allowed."""

from __future__ import annotations

from typing import Literal, get_args

Role = Literal["viewer", "support", "operator", "admin"]
LoginRole = Literal["viewer", "support", "operator", "admin", "worker", "service"]

ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most; each may do all that the one before it may."""


def allows(held: str, needed: Role) -> bool:
    """Whether somebody with the role `held` may do what needs `needed`.

    Workers and the product's own services have none of these roles.
    """
    return held in ROLES and ROLES.index(held) >= ROLES.index(needed)
