"""timm, against whose networks ours are held: ``from tests.models.timm_oracle import timm``.

A test module that imports it is skipped where timm is not installed; in CI it fails.
"""

import os

import pytest

from lightmobile.errors import UsageError
from lightmobile.models.bridges.timm_import import import_timm

try:
    timm = import_timm()
except UsageError as missing:
    if os.environ.get("LIGHTMOBILE_REQUIRE_TOOLS"):
        raise
    pytest.skip(str(missing), allow_module_level=True)
