"""timm's networks, as ``timm:NAME``."""

from __future__ import annotations

from lightmobile.models.bridges.timm_import import import_timm

__all__ = ["import_timm"]
