import importlib
import subprocess
import sys

import pytest

import lightmobile
from lightmobile import errors


def test_the_public_names_are_sorted_and_there():
    assert lightmobile.__all__ == sorted(lightmobile.__all__)
    assert dir(lightmobile) == lightmobile.__all__
    for name in lightmobile.__all__:
        assert getattr(lightmobile, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lightmobile.nothing


@pytest.mark.parametrize("package", ["models", "export", "device_bench"])
def test_each_package_keeps_its_word(package):
    module = importlib.import_module(f"lightmobile.{package}")
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_export_is_both_a_package_and_the_function():
    from lightmobile import export
    from lightmobile.export.spec import ExportSpec

    assert callable(export)
    assert export.ExportSpec is ExportSpec


HEAVY = "torch", "numpy", "executorch", "coremltools", "litert_torch", "ai_edge_litert", "rich"


@pytest.mark.parametrize(
    "statement",
    [
        "import lightmobile",
        "import lightmobile.cli",
        "import lightmobile.models, lightmobile.export, lightmobile.device_bench",
        "import lightmobile; lightmobile.list_models(); lightmobile.model_info('fasternet_t0')",
        "import lightmobile.export.cache as cache; cache.entries()",
    ],
)
def test_light_imports_stay_light(statement):
    code = f"{statement}\nimport sys\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_error_has_its_exit_code():
    codes = {
        "InternalError": 1,
        "UsageError": 2,
        "VerificationError": 3,
        "DelegationError": 4,
        "DeviceError": 5,
        "ComparisonError": 6,
    }
    for name, code in codes.items():
        error = getattr(errors, name)("what", why="why", fix="fix")
        assert error.exit_code == code
        assert str(error) == "what. why. fix"
        assert error.to_dict() == {"code": error.code, "what": "what", "why": "why", "fix": "fix"}
