"""ExecuTorch's accelerators: GPUs by Vulkan, Apple's processors by Core ML, Qualcomm's by QNN.

Each takes a whole program where it can, and rounds to fp16 by itself: `half` is XNNPACK's need.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightmobile.errors import UsageError
from lightmobile.export.spec import TARGETS
from lightmobile.export.targets import import_exporter
from lightmobile.export.targets.decompositions import decomposed_for_vulkan, has_exact_gelu

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torchao.quantization.pt2e.quantizer import Quantizer

    from lightmobile.export.spec import ExportSpec

__all__ = ["ACCELERATORS", "qnn_quantizer", "require_qnn"]

# Qualcomm's compiler writes for one chip: the Snapdragon 8 Gen 3.
QNN_CHIP = "SM8650"


def require_qnn() -> None:
    """See that Qualcomm's SDK is here and can be loaded.

    Where it is missing, ExecuTorch would download it, over a gigabyte, unasked; where it cannot be
    loaded, ExecuTorch would end the process.

    Raises
    ------
    UsageError
        ``QNN_SDK_ROOT`` does not lead to it.
    """
    root = os.environ.get("QNN_SDK_ROOT")
    try:
        if not root:
            raise OSError("QNN_SDK_ROOT is not set")
        ctypes.CDLL(str(Path(root) / "lib" / "x86_64-linux-clang" / "libQnnHtp.so"))
    except OSError as error:
        raise UsageError(
            "The backend 'qnn' needs Qualcomm's AI Engine Direct SDK (QNN)",
            why=str(error),
            fix="Install the SDK on Linux x86-64, set QNN_SDK_ROOT to its folder, and add its "
            "lib/x86_64-linux-clang to LD_LIBRARY_PATH",
        ) from None


def qnn_quantizer() -> Quantizer:
    """Return Qualcomm's own, for int8 weights by channel and int8 activations.

    Raises
    ------
    UsageError
        ``QNN_SDK_ROOT`` does not lead to its SDK.
    """
    require_qnn()
    from executorch.backends.qualcomm.quantizer.quantizer import QnnQuantizer, QuantDtype
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset

    quantizer = QnnQuantizer(soc_model=QcomChipset[QNN_CHIP])
    quantizer.set_default_quant_config(
        QuantDtype.use_8a8w, is_conv_per_channel=True, is_linear_per_channel=True
    )
    return quantizer


def _vulkan(program: ExportedProgram, spec: ExportSpec) -> tuple[Any, dict[str, str]]:
    from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner
    from executorch.exir import to_edge_transform_and_lower

    if spec.batch > 1:
        raise UsageError(
            "ExecuTorch's Vulkan delegate convolves one image at a time",
            why=f"It would leave every convolution of a batch of {spec.batch} to the processor",
            fix="Leave --batch out",
        )
    half = spec.precision == "fp16"
    gelu = {"gelu": "tanh approximation" if half else "exact, of 23 operators"}
    lowering = gelu if has_exact_gelu(program) else {}
    program = decomposed_for_vulkan(program, half=half)
    partitioner = VulkanPartitioner({"force_fp16": half})
    return to_edge_transform_and_lower(program, partitioner=[partitioner]), lowering


def _coreml(program: ExportedProgram, spec: ExportSpec) -> tuple[Any, dict[str, str]]:
    import_exporter(TARGETS["coreml"], "coremltools", "executorch.backends.apple.coreml.compiler")
    import coremltools as ct
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner
    from executorch.exir import to_edge_transform_and_lower

    half = spec.precision == "fp16"
    units, target = ct.ComputeUnit.ALL, ct.target.iOS16
    specs = CoreMLBackend.generate_compile_specs(
        compute_unit=units,
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
    )
    edge = to_edge_transform_and_lower(
        program, partitioner=[CoreMLPartitioner(compile_specs=specs)]
    )
    return edge, {"compute_units": units.name, "deployment_target": target.name}


def _qnn(program: ExportedProgram, spec: ExportSpec) -> tuple[Any, dict[str, str]]:
    require_qnn()
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset
    from executorch.backends.qualcomm.utils.check_qnn_version import get_sdk_build_id
    from executorch.backends.qualcomm.utils.utils import (
        generate_htp_compiler_spec,
        generate_qnn_executorch_compiler_spec,
        to_edge_transform_and_lower_to_qnn,
    )

    specs = generate_qnn_executorch_compiler_spec(
        QcomChipset[QNN_CHIP], generate_htp_compiler_spec(use_fp16=spec.precision == "fp16")
    )
    inputs = program.example_inputs[0] if program.example_inputs else ()
    edge = to_edge_transform_and_lower_to_qnn(program.module(), inputs, specs)
    return edge, {"qnn_sdk": get_sdk_build_id(), "qnn_chip": QNN_CHIP}


# What lowers a program for each: to an EdgeProgramManager, and what was chosen for it, for
# `Lowered.lowering`. A missing package or SDK is a UsageError.
ACCELERATORS: dict[str, Callable[[ExportedProgram, ExportSpec], tuple[Any, dict[str, str]]]] = {
    "vulkan": _vulkan,
    "coreml": _coreml,
    "qnn": _qnn,
}
