"""What ``--require-full-delegation`` asks of an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightmobile.errors import DelegationError, UsageError

if TYPE_CHECKING:
    from lightmobile.export.manifest import Placement
    from lightmobile.export.spec import ExportSpec

__all__ = ["require_delegate", "require_whole"]

_FIX = "Leave --require-full-delegation out, or give another --backend or --precision"


def require_delegate(spec: ExportSpec) -> None:
    """See that there is a delegate to take what `spec` lowers.

    Raises
    ------
    UsageError
        There is none.
    """
    if spec.backend == "portable":
        raise UsageError(
            "The backend 'portable' has no delegate",
            why="ExecuTorch's own kernels run every operator of it",
            fix=_FIX,
        )


def require_whole(name: str, placements: Sequence[Placement]) -> None:
    """See that the first of the `placements` of artifact `name` leaves no operator.

    Raises
    ------
    DelegationError
        It does; the message has each such operator, how many of it, and why.
    """
    if placements and placements[0].whole:
        return
    delegate = placements[0].delegate if placements else ""
    if not delegate:
        raise DelegationError(
            f"{name} is not delegated", why="Its target has no delegate", fix=_FIX
        )
    left = "; ".join(
        f"{count} {operator} ({placements[0].reasons.get(operator, 'no reason is known')})"
        for operator, count in placements[0].undelegated.items()
    )
    raise DelegationError(
        f"{name} is not delegated as a whole", why=f"{delegate} leaves {left}", fix=_FIX
    )
