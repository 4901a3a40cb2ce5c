"""TFLite files in integers compute what PyTorch computes, and keep in floats what they should."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightmobile.errors import UsageError
from lightmobile.export.manifest import Tensor as Signature
from lightmobile.export.quantization.litert import quantize
from lightmobile.export.quantization.scopes import kept_scopes
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import Lowered, lower
from lightmobile.export.targets.tflite import NamedTensors
from lightmobile.export.verification.compressed import Compressed
from lightmobile.export.verification.engines import LiteRT
from lightmobile.export.verification.weights import compare_weights
from tests.export.tiny import SIZE, tiny_fasternet

# The calibrator looks into every tensor, which the interpreter warns of.
pytestmark = pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")

SPECS = {
    "int8": ExportSpec("tflite", precision="int8"),
    "int8-io": ExportSpec("tflite", precision="int8", io="int8"),
    "int8-nhwc-b2": ExportSpec("tflite", precision="int8", layout="nhwc", batch=2),
    "int16x8": ExportSpec("tflite", precision="int16x8"),
    "int8_dynamic": ExportSpec("tflite", precision="int8_dynamic"),
    "w8": ExportSpec("tflite", precision="w8"),
}


class Noise:
    """Batches as a calibration yields them."""

    def __init__(self, batch: int = 1, size: tuple[int, int] = SIZE, count: int = 8) -> None:
        self.shape = (batch, 3, *size)
        self.count = count

    def __iter__(self) -> Iterator[np.ndarray]:
        noise = np.random.default_rng(0)
        for _ in range(self.count):
            yield noise.standard_normal(self.shape, np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Lowered]]:
    """Each precision is lowered once."""
    folder = tmp_path_factory.mktemp("int8")
    done: dict[str, Lowered] = {}

    def make(name: str) -> tuple[Path, Lowered]:
        path = folder / name
        if name not in done:
            images: Any = Noise(SPECS[name].batch)
            done[name] = lower(tiny_fasternet(), SPECS[name], path, input_size=SIZE, images=images)
        return path, done[name]

    return make


def signal_to_noise_db(engine: LiteRT, net: nn.Module, spec: ExportSpec) -> float:
    images = next(iter(Noise(spec.batch)))
    with torch.inference_mode():
        expected = net(torch.from_numpy(images)).numpy()
    given = images.transpose(0, 2, 3, 1).copy() if spec.layout == "nhwc" else images
    (measured,) = engine.run(given)
    return float(10 * np.log10((expected**2).mean() / ((measured - expected) ** 2).mean()))


@pytest.mark.parametrize("name", SPECS)
def test_each_precision_computes_what_pytorch_computes(made: Any, name: str) -> None:
    path, _ = made(name)
    net = tiny_fasternet()
    engine = LiteRT(path)
    assert 25 < signal_to_noise_db(engine, net, SPECS[name]) < 60
    weights = {key: tensor.numpy() for key, tensor in net.state_dict().items()}
    compare_weights(engine.constants(), weights, SPECS[name].precision)


@pytest.mark.parametrize("name", SPECS)
def test_every_weight_is_in_8_bits(made: Any, name: str) -> None:
    constants = LiteRT(made(name)[0]).constants().values()
    matrices = [c for c in constants if (c.dense if isinstance(c, Compressed) else c).ndim > 1]
    assert len(matrices) == 18
    assert all(isinstance(constant, Compressed) for constant in matrices)


@pytest.mark.parametrize("name", SPECS)
def test_the_borders_have_the_type_asked_for(made: Any, name: str) -> None:
    _, lowered = made(name)
    tensors: list[Signature] = [*lowered.inputs, *lowered.outputs]
    assert {tensor.dtype for tensor in tensors} == {SPECS[name].io}
    assert [tensor.name for tensor in tensors] == ["image", "logits"]
    integers = SPECS[name].precision in ("int8", "int16x8")
    placement = lowered.placements[0]
    operators = Counter(placement.delegated) + Counter(placement.undelegated)
    assert operators["DEQUANTIZE"] == {"int8-io": 0, "w8": 18}.get(name, 1 if integers else 0)


def test_integer_borders_compute_the_same(made: Any) -> None:
    image = next(iter(Noise()))
    floats, integers = (LiteRT(made(name)[0]).run(image)[0] for name in ("int8", "int8-io"))
    np.testing.assert_allclose(floats, integers, atol=1e-6)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.act(self.conv(x))


class Names(nn.Module):
    """Names that begin alike, a container that is not called, a module called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.conv_1 = nn.Conv2d(8, 8, 3, padding=1)
        self.steps = nn.Sequential(*(nn.Conv2d(8, 8, 1) for _ in range(11)))
        self.twice = nn.Conv2d(8, 8, 1)
        self.block = Block()
        self.neck = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)
        self.dropout = nn.Dropout()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.conv_1(self.conv(x))
        for step in self.steps:
            x = step(x)
        x = self.block(torch.relu(self.twice(torch.sigmoid(self.twice(x)))))
        return self.dropout(self.head(self.neck(x.mean(dim=(2, 3))))), x


NAMES_SIZE = (8, 8)


@pytest.fixture(scope="module")
def names() -> tuple[NamedTensors, bytes]:
    torch.manual_seed(0)
    module = NamedTensors(Names(), "nchw").eval()
    example = {"image": torch.zeros(1, 3, *NAMES_SIZE)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the vendor's own
        return module, litert_torch.convert(module, (), example).model_content()


def quantized(names: tuple[NamedTensors, bytes], keep_fp: tuple[str, ...], path: Path) -> LiteRT:
    module, model = names
    layers = [f"body.{name}" for name in keep_fp]
    kept = kept_scopes(model, module, torch.zeros(1, 3, *NAMES_SIZE), layers)
    images: Any = Noise(size=NAMES_SIZE, count=2)
    path.write_bytes(quantize(model, ExportSpec("tflite", precision="int8"), kept, images))
    return LiteRT(path)


def float_weights(engine: LiteRT, module: nn.Module) -> set[str]:
    floats = [c for c in engine.constants().values() if not isinstance(c, Compressed)]
    return {
        name.removesuffix(".weight")
        for name, weight in module.state_dict().items()
        if name.endswith(".weight")
        and any(np.array_equal(np.sort(c, axis=None), weight.flatten().sort()[0]) for c in floats)
    }


@pytest.mark.parametrize(
    ("keep_fp", "expected"),
    [
        ((), set()),
        (("conv",), {"conv"}),
        (("conv_1",), {"conv_1"}),
        (("steps.1",), {"steps.1"}),
        (("steps.10", "twice"), {"steps.10", "twice"}),
        (("steps",), {f"steps.{index}" for index in range(11)}),
        (("block",), {"block.conv"}),
        (("block.act",), {"block.conv"}),  # one operator does both
        (("neck",), {"neck"}),
        (("head",), {"head"}),
        (("dropout",), set()),
    ],
)
def test_the_layers_to_keep_and_no_others_are_in_floats(
    names: Any, keep_fp: tuple[str, ...], expected: set[str], tmp_path: Path
) -> None:
    engine = quantized(names, keep_fp, tmp_path / "x.tflite")
    assert float_weights(engine, names[0].body) == expected


@pytest.mark.parametrize(("keep_fp", "expected"), [((), "int8"), (("block",), "float32")])
def test_an_operator_without_weights_at_an_output_is_kept_too(
    names: Any, keep_fp: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    quantized(names, keep_fp, tmp_path / "x.tflite")
    interpreter = Interpreter(
        model_path=str(tmp_path / "x.tflite"),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    (add,) = (row for row in interpreter._get_ops_details() if row["op_name"] == "ADD")
    assert {np.dtype(dtype).name for dtype in add["result_types"]} == {expected}


def test_a_kept_head_answers_in_the_type_asked_for(tmp_path: Path) -> None:
    spec = ExportSpec("tflite", precision="int8", io="int8", keep_fp=("head", "patch_embed"))
    images: Any = Noise(count=2)
    lowered = lower(tiny_fasternet(), spec, tmp_path / "x", input_size=SIZE, images=images)
    assert {tensor.dtype for tensor in (*lowered.inputs, *lowered.outputs)} == {"int8"}
    engine = LiteRT(tmp_path / "x")
    assert float_weights(engine, tiny_fasternet()) == {"head", "patch_embed.proj"}


class Lists(nn.Module):
    """Modules that the converter names alike: lists are not called, so no path has theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.ModuleList([nn.Conv2d(3, 8, 1)])
        self.wide = nn.ModuleList([nn.Conv2d(8, 8, 3)])

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"features": self.wide[0](self.narrow[0](image))}


def test_modules_that_the_file_cannot_tell_apart_are_kept_together_or_not() -> None:
    module = Lists().eval()
    example = torch.zeros(1, 3, *NAMES_SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the vendor's own
        model = litert_torch.convert(module, (), {"image": example}).model_content()
    with pytest.raises(UsageError, match=r"wide\.0 cannot be kept .* without narrow\.0"):
        kept_scopes(model, module, example, ["wide"])
    assert len(kept_scopes(model, module, example, ["wide", "narrow"])) >= 2


def test_images_are_read_one_by_one(names: Any) -> None:
    alive = most = 0

    class Counted(np.ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    class Images:
        def __iter__(self) -> Iterator[np.ndarray]:
            nonlocal alive, most
            for image in Noise(size=NAMES_SIZE, count=20):
                alive += 1
                most = max(most, alive)
                yield image.view(Counted)

    images: Any = Images()
    quantize(names[1], ExportSpec("tflite", precision="int8"), [], images)
    assert most <= 3
