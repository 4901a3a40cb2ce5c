"""`inspect` tells what is in a file, with or without its manifest, and runs none of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightmobile.errors import LightmobileError, LightmobileWarning, UsageError, VerificationError
from lightmobile.export import Inspection, inspect
from lightmobile.export.manifest import Placement, manifest_path
from lightmobile.export.spec import TARGETS, ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification.xnnpack import _NODES
from tests.cli import lightmobile
from tests.export.tiny import SIZE, tiny_fasternet
from tests.verification import networks
from tests.verification.damage import copy
from tests.verification.test_verify import declare_huge, empty, fill_with_garbage, truncate

# The calibrator looks into every tensor, which the interpreter warns of.
pytestmark = pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")

SPECS = {
    "xnnpack": ExportSpec("executorch"),
    "xnnpack-int8": ExportSpec("executorch", precision="int8"),
    "portable": ExportSpec("executorch", "portable"),
    "vulkan": ExportSpec("executorch", "vulkan"),
    "coreml-delegate": ExportSpec("executorch", "coreml"),
    "tflite": ExportSpec("tflite"),
    "tflite-int8-io": ExportSpec("tflite", precision="int8", io="int8"),
    "coreml": ExportSpec("coreml"),
    "coreml-w4p": ExportSpec("coreml", precision="w4p"),
}
# The stem, three merges, three a block and one in the head; the classifier beside them.
CONVOLUTIONS, LAYERS = 17, 18

# Lowering these takes seconds, most of them to import what does it.
SLOW = ("xnnpack-int8", "vulkan", "coreml-delegate")

Make = Callable[[str], Path]


def files(*names: str) -> Any:
    marked = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in names]
    return pytest.mark.parametrize("name", marked)


class Noise:
    """Batches as a calibration yields them."""

    def __iter__(self) -> Iterator[np.ndarray]:
        noise = np.random.default_rng(0)
        for _ in range(4):
            yield noise.standard_normal((1, 3, *SIZE), np.float32)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Each file is lowered once; none has a manifest."""
    folder = tmp_path_factory.mktemp("inspect")
    images: Any = Noise()

    def once(name: str) -> Path:
        spec = SPECS[name]
        path = folder / f"{name}{TARGETS[spec.target].suffix}"
        if not path.exists():
            lower(tiny_fasternet(), spec, path, input_size=SIZE, images=images)
        return path

    return once


@pytest.fixture(scope="module")
def elements() -> dict[str, int]:
    """How many numbers the network's layers hold, in all and without biases."""
    sizes = [(p.dim(), p.numel()) for p in tiny_fasternet().state_dict().values()]
    return {"all": sum(n for _, n in sizes), "kernels": sum(n for dim, n in sizes if dim > 1)}


@files(*SPECS)
def test_every_convolution_and_the_signature_are_told(name: str, make: Make) -> None:
    inspection, spec = inspect(make(name)), SPECS[name]
    assert (inspection.target, inspection.backend) == (spec.target, spec.backend)
    assert (inspection.hash_ok, inspection.model, inspection.precision) == (None, None, None)
    (placement,) = inspection.placements
    delegated = 0 if spec.backend in ("portable", "tflite") else CONVOLUTIONS
    assert convolutions(placement.delegated) == delegated
    assert convolutions(placement.undelegated) == CONVOLUTIONS - delegated
    (image,), (logits,) = inspection.inputs, inspection.outputs
    assert (image.shape, logits.shape) == ((1, 3, *SIZE), (1, 10))
    names = ("input_0", "output_0") if spec.target == "executorch" else ("image", "logits")
    assert (image.name, logits.name) == names
    dtype = "int8" if name == "tflite-int8-io" else "float32"
    assert (image.dtype, logits.dtype) == (dtype, dtype)
    assert (image.scale is None) == (dtype == "float32")


def convolutions(counts: dict[str, int]) -> int:
    words = {name: name.lower() for name in counts}
    return sum(n for name, n in counts.items() if "conv" in words[name].replace("convert", ""))


@files("xnnpack", "portable", "vulkan", "coreml-delegate", "coreml")
def test_floating_point_weights_are_all_there(
    name: str, make: Make, elements: dict[str, int]
) -> None:
    half = SPECS[name].precision == "fp16"
    (weights,) = inspect(make(name)).weights
    assert weights.format == ("float16" if half else "float32")
    assert weights.elements == elements["all"]
    assert weights.bytes == elements["all"] * (2 if half else 4)


@files("xnnpack-int8", "tflite-int8-io")
def test_quantized_weights_are_all_there(name: str, make: Make, elements: dict[str, int]) -> None:
    weights = {w.format: w for w in inspect(make(name)).weights}
    kernels = weights["int8 per channel"]
    assert (kernels.tensors, kernels.elements) == (LAYERS, elements["kernels"])
    assert kernels.bytes == kernels.elements
    assert "int32 per channel" in weights  # the biases


def test_palettes_take_half_a_byte_an_element(make: Make, elements: dict[str, int]) -> None:
    weights = {w.format: w for w in inspect(make("coreml-w4p")).weights}
    palettes = weights["4-bit palette"]
    assert palettes.elements == 2 * palettes.bytes > elements["all"] // 2
    assert palettes.elements + weights["float16"].elements == elements["all"]


@files("xnnpack", "portable")
def test_a_programs_plan_and_kernels_are_what_executorch_reads(name: str, make: Make) -> None:
    from executorch.exir._serialize._program import deserialize_pte_binary
    from executorch.exir.schema import KernelCall

    plan = deserialize_pte_binary(make(name).read_bytes()).program.execution_plan[0]
    steps = [step.instr_args for step in plan.chains[0].instructions]
    kernels = [plan.operators[s.op_index] for s in steps if isinstance(s, KernelCall)]
    inspection = inspect(make(name))
    assert list(inspection.memory.planned_bytes) == plan.non_const_buffer_sizes[1:]
    assert inspection.placements[0].undelegated == Counter(
        f"{k.name}.{k.overload}" for k in kernels
    )
    assert bool(kernels) == (name == "portable")


def test_xnnpacks_operators_have_its_names() -> None:
    import executorch.backends.xnnpack.serialization as vendors

    schema = (Path(vendors.__path__[0]) / "schema.fbs").read_text()
    union = schema.partition("union XNodeUnion {")[2].partition("}")[0]
    names = [line.strip(" ,").partition(":")[0] for line in union.split("\n")]
    assert [f"XNN{name}" for name in _NODES[1:]] == [name for name in names if name]


def test_a_models_operators_and_live_activations_are_what_litert_has(make: Make) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(make("tflite")),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    steps = interpreter._get_ops_details()
    sizes = {
        tensor["index"]: int(np.prod(tensor["shape"])) * np.dtype(tensor["dtype"]).itemsize
        for tensor in interpreter.get_tensor_details()
    }
    made = {row["index"]: 0 for row in interpreter.get_input_details()}
    made |= {int(t): place for place, step in enumerate(steps) for t in step["outputs"]}
    used = {int(t): place for place, step in enumerate(steps) for t in step["inputs"]}
    used |= {row["index"]: len(steps) for row in interpreter.get_output_details()}
    live = [
        sum(sizes[t] for t in made if made[t] <= place <= used[t]) for place in range(len(steps))
    ]
    inspection = inspect(make("tflite"))
    assert inspection.memory.live_bytes == max(live) > live[-1]
    assert inspection.placements[0].undelegated == Counter(step["op_name"] for step in steps)


def write_manifest(path: Path, **changes: Any) -> None:
    placements = (
        Placement(
            delegate="gpu",
            by="published rules",
            delegated_subgraphs=1,
            delegated={"CONV_2D": 16},
            undelegated={"CONV_2D": 1, "SLICE\x1b[31m": 8},
            reasons={"CONV_2D": "too wide"},
        ),
    )
    manifest = networks.manifest(
        path,
        "tflite",
        "fp32",
        layout="nhwc",
        placements=placements,
        inputs=[{"name": "camera", "shape": (1, 3, *SIZE), "dtype": "float32", "layout": "nchw"}],
    )
    networks.write_manifest(path, manifest, **changes)


def test_the_manifest_tells_more(make: Make, tmp_path: Path) -> None:
    path = copy(make("tflite"), tmp_path)
    write_manifest(path)
    inspection = inspect(path)
    assert (inspection.hash_ok, inspection.model, inspection.precision) == (True, "tiny", "fp32")
    assert (inspection.inputs[0].name, inspection.inputs[0].layout) == ("camera", "nchw")
    (placement,) = inspection.placements
    assert (placement.delegate, placement.reasons) == ("gpu", {"CONV_2D": "too wide"})


def test_a_manifest_of_another_file_tells_nothing(make: Make, tmp_path: Path) -> None:
    path = copy(make("tflite"), tmp_path)
    write_manifest(path, file_sha256="0" * 64)
    inspection = inspect(path)
    assert (inspection.hash_ok, inspection.model) == (False, None)
    assert inspection.inputs[0].name == "image"
    manifest_path(path).write_text('{"labels": ["cat"]}')
    with pytest.warns(LightmobileWarning, match="manifest was left aside"):
        inspection = inspect(path)
    assert inspection.hash_ok is None


def test_json_is_the_documented_form(make: Make, tmp_path: Path) -> None:
    path = copy(make("tflite-int8-io"), tmp_path)
    document = lightmobile("inspect", path, "--json").json
    assert list(document) == list(Inspection.__dataclass_fields__)
    assert document == json.loads(json.dumps(inspect(path).to_dict()))
    assert set(document["inputs"][0]) == {
        *("name", "shape", "dtype", "layout", "scale", "zero_point")
    }
    assert set(document["memory"]) == {"note", "planned_bytes", "live_bytes"}
    assert set(document["weights"][0]) == {"format", "tensors", "elements", "bytes"}
    assert document["pictures"] == [f"netron {path}", f"model-explorer {path}"]


def test_the_tables_name_what_stays_and_why(make: Make, tmp_path: Path) -> None:
    path = copy(make("tflite"), tmp_path)
    write_manifest(path)
    text = lightmobile("inspect", path).out
    assert "gpu: 16 of 25 operators, in 1 piece (published rules)" in text
    row = ["CONV_2D", "17", "16", "gpu:", "too", "wide"]
    assert row in [line.split() for line in text.splitlines()]
    assert "as in the manifest" in text
    assert "\x1b" not in text
    assert text.splitlines()[-1].endswith(f"model-explorer {path}")


@files("xnnpack", "tflite", "coreml")
@pytest.mark.parametrize("damage", [truncate, declare_huge])
def test_a_damaged_file_is_a_message(name: str, damage: Any, make: Make, tmp_path: Path) -> None:
    path = copy(make(name), tmp_path)
    for file in [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]:
        damage(file)
    with pytest.raises((VerificationError, UsageError), match=rf"{path.name}|package"):
        inspect(path)


@files("vulkan", "coreml-delegate", "xnnpack")
def test_a_damaged_delegate_is_a_message(name: str, make: Make, tmp_path: Path) -> None:
    path = copy(make(name), tmp_path)
    data = path.read_bytes()
    marks = {"vulkan": b"VK00", "xnnpack": b"XN01", "coreml-delegate": b'"nodes"'[::-1]}
    assert marks[name] in data
    path.write_bytes(data.replace(marks[name], bytes(len(marks[name]))))
    with pytest.raises(VerificationError, match=path.name):
        inspect(path)


def test_weights_that_are_cut_off_are_noticed(make: Make, tmp_path: Path) -> None:
    path = copy(make("coreml"), tmp_path)
    (weights,) = path.rglob("weight.bin")
    with weights.open("rb+") as file:
        file.truncate(weights.stat().st_size - 64)
    with pytest.raises(VerificationError, match="cut off"):
        inspect(path)


@pytest.mark.parametrize("damage", [empty, fill_with_garbage])
def test_a_file_of_nothing_is_a_message(damage: Any, make: Make, tmp_path: Path) -> None:
    path = copy(make("tflite"), tmp_path)
    damage(path)
    with pytest.raises(VerificationError, match=r"tflite\.tflite cannot be read"):
        inspect(path)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    (tmp_path / "folder.tflite").mkdir()
    (tmp_path / "empty.mlpackage").mkdir()
    for name, part in [
        ("photo.png", "of no kind"),
        ("folder.tflite", "of no kind"),
        ("empty.mlpackage", r"Manifest\.json"),
        ("absent.pte", "no artifact"),
    ]:
        with pytest.raises(UsageError, match=part):
            inspect(tmp_path / name)
    done = lightmobile("inspect", tmp_path / "photo.png", "--json")
    assert (done.code, done.error["code"]) == (2, "usage")


@files("xnnpack", "vulkan", "coreml-delegate", "tflite", "coreml")
def test_neither_pytorch_nor_a_runtime_is_loaded(name: str, make: Make) -> None:
    job = {"artifact": str(make(name)), "target": SPECS[name].target}
    code = f"""
import sys
from lightmobile.export.inspection.inspect import read
assert read({job!r})["weights"]
print(*sorted({{"torch", "executorch", "coremltools", "_pywrap_litert_interpreter_wrapper"}}
              & set(name.rpartition(".")[2] for name in sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_file_of_another_exporter_is_read(tmp_path: Path) -> None:
    net, path = networks.tiny_net(), tmp_path / "renamed.bin"
    networks.export(net, "tflite", path, "fp32")
    inspection = inspect(path)
    assert inspection.target == "tflite"
    # LiteRT adds zeros where a convolution has no bias.
    added = net.block.mixing.out_channels + net.block.project.out_channels
    (weights,) = inspection.weights
    assert weights.elements == sum(p.numel() for p in net.parameters()) + added


def test_no_flipped_byte_crashes_the_readers(make: Make, tmp_path: Path) -> None:
    from lightmobile.export.inspection.inspect import read

    rng = np.random.default_rng(0)
    for name in ("xnnpack", "tflite"):
        path = copy(make(name), tmp_path)
        data = path.read_bytes()
        refused = 0
        for place in rng.integers(0, 4096, 100):
            damaged = bytearray(data)
            damaged[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                read({"artifact": str(path), "target": SPECS[name].target})
            except LightmobileError:
                refused += 1
        assert refused > 5
