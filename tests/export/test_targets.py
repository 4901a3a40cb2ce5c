"""Each target's lowering in this process; `test_session` runs them as users do."""

import numpy as np
import pytest
import torch

from lightmobile.errors import UsageError
from lightmobile.export.spec import ExportSpec
from lightmobile.export.targets import lower
from lightmobile.export.verification.engines import ENGINES
from tests.export.tiny import SIZE, tiny_fasternet

SPECS = {
    "xnnpack": ExportSpec("executorch"),
    "xnnpack-fp16": ExportSpec("executorch", precision="fp16"),
    "portable": ExportSpec("executorch", backend="portable"),
    "portable-fp16-b2": ExportSpec("executorch", backend="portable", precision="fp16", batch=2),
    "coreml": ExportSpec("coreml"),
    "coreml-fp32-b3": ExportSpec("coreml", precision="fp32", batch=3),
    "tflite": ExportSpec("tflite"),
    "tflite-nhwc-b2": ExportSpec("tflite", layout="nhwc", batch=2),
}


DELEGATES = {"tflite": ("xnnpack", "gpu"), "coreml": ("coreml",)}


def keeps_the_head_wide(spec):
    return (spec.target, spec.precision) == ("executorch", "fp16")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each is lowered once; the module must stay as it was."""
    folder = tmp_path_factory.mktemp("targets")
    module, done = tiny_fasternet(), {}

    def once(name):
        spec = SPECS[name]
        path = folder / (name + {"coreml": ".mlpackage"}.get(spec.target, ".bin"))
        if name not in done:
            done[name] = lower(module, spec, path, input_size=SIZE)
        return path, done[name], module

    return once


@pytest.mark.parametrize("name", SPECS)
def test_each_target_computes_what_pytorch_computes(made, name):
    spec, before = SPECS[name], tiny_fasternet().state_dict()
    path, lowered, module = made(name)

    (image,), (logits,) = lowered.inputs, lowered.outputs
    shape = (spec.batch, *SIZE, 3) if spec.layout == "nhwc" else (spec.batch, 3, *SIZE)
    assert (image.name, image.shape, image.dtype) == ("image", shape, "float32")
    assert (logits.name, logits.shape, logits.dtype) == ("logits", (spec.batch, 10), "float32")
    assert image.layout == spec.layout
    wide = {"fp32_layers": "avgpool_pre_head.1, head"} if keeps_the_head_wide(spec) else {}
    units = {"compute_units": "ALL"} if spec.target == "coreml" else {}
    assert lowered.lowering == {"pconv": "slicing"} | wide | units

    engine = ENGINES[spec.target][0](path)
    images = np.random.default_rng(0).standard_normal((spec.batch, 3, *SIZE), np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    given = images.transpose(0, 2, 3, 1).copy() if spec.layout == "nhwc" else images
    (measured,) = engine.run(given)
    error = np.linalg.norm(measured - expected) / np.linalg.norm(expected)
    assert error < (1e-5 if spec.precision == "fp32" else 1e-2)
    assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())


def convolutions(counts):
    return sum(count for name, count in counts.items() if name.lower().startswith("conv"))


@pytest.mark.parametrize("name", SPECS)
def test_placement_counts_every_convolution(made, name):
    spec, placements = SPECS[name], made(name)[1].placements
    expected = DELEGATES.get(spec.target, ("" if spec.backend == "portable" else spec.backend,))
    assert tuple(placement.delegate for placement in placements) == expected
    whole = not keeps_the_head_wide(spec) and spec.backend != "portable"
    assert {placement.whole for placement in placements} == {whole}
    placement = placements[0]
    # The stem, three merges, three a block and one in the head.
    delegated = 0 if spec.backend == "portable" else 17
    assert convolutions(placement.delegated) == delegated
    assert convolutions(placement.undelegated) == 17 - delegated
    # The runtime casts once, where the fp32 head begins.
    pieces = 2 if keeps_the_head_wide(spec) else 1
    assert placement.delegated_subgraphs == (pieces if delegated else 0)


@pytest.mark.parametrize(("form", "pieces"), [("slicing", 1), ("split_cat", 5)])
def test_slices_keep_the_graph_in_one_piece(tmp_path, form, pieces):
    module = tiny_fasternet(pconv=form)
    lowered = lower(module, ExportSpec("executorch"), tmp_path / "net.pte", input_size=SIZE)
    assert lowered.placements[0].delegated_subgraphs == pieces
    assert lowered.lowering == {"pconv": form}


@pytest.mark.slow
def test_fasternet_t0_is_one_piece_and_was_fourteen(tmp_path):
    from lightmobile.models import create_model, fuse

    pieces = [
        lower(
            fuse(create_model("fasternet_t0", pconv=form)),
            ExportSpec("executorch"),
            tmp_path / form,
            input_size=(224, 224),
        )
        .placements[0]
        .delegated_subgraphs
        for form in ("slicing", "split_cat")
    ]
    assert pieces == [1, 14]


def plain_xnnpack(module):
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(module, (torch.zeros(1, 3, *SIZE),))
    return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])


@pytest.mark.slow
def test_the_file_is_the_vendors_own_byte_for_byte(tmp_path):
    # Patterns are skipped only where they cannot match.
    module = tiny_fasternet()
    lower(module, ExportSpec("executorch"), tmp_path / "net.pte", input_size=SIZE)
    assert (tmp_path / "net.pte").read_bytes() == plain_xnnpack(module).to_executorch().buffer


def test_placement_is_what_executorch_reports(tmp_path):
    from executorch.devtools.backend_debug import get_delegation_info

    module = tiny_fasternet(pconv="split_cat")
    path = tmp_path / "net.pte"
    (ours,) = lower(module, ExportSpec("executorch"), path, input_size=SIZE).placements
    theirs = get_delegation_info(plain_xnnpack(module).exported_program().graph_module)
    assert ours.delegated_subgraphs == theirs.num_delegated_subgraphs
    assert sum(ours.delegated.values()) == theirs.num_delegated_nodes


class Attention(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)


class Upsampling(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")


@pytest.mark.parametrize(
    ("module", "skipped"), [(Attention(), "bilinear_2d"), (Upsampling(), "sdpa")]
)
def test_a_pattern_that_may_match_is_kept(module, skipped):
    from executorch.backends.xnnpack.partition.graphs import bilinear_2d, sdpa

    from lightmobile.export.targets.executorch import unmatchable_patterns_skipped

    original = {"sdpa": sdpa.get_graphs, "bilinear_2d": bilinear_2d.get_graphs_dict}
    program = torch.export.export(module, (torch.zeros(1, 3, 8, 8),))
    with unmatchable_patterns_skipped(program):
        now = {"sdpa": sdpa.get_graphs, "bilinear_2d": bilinear_2d.get_graphs_dict}
        assert [name for name in now if now[name] is not original[name]] == [skipped]
    assert sdpa.get_graphs is original["sdpa"]
    assert bilinear_2d.get_graphs_dict is original["bilinear_2d"]


def test_a_module_in_training_mode_or_without_a_size_is_refused(tmp_path):
    spec = ExportSpec("tflite")
    with pytest.raises(UsageError, match="training mode"):
        lower(tiny_fasternet().train(), spec, tmp_path / "x", input_size=SIZE)
    with pytest.raises(UsageError, match="input size"):
        lower(tiny_fasternet(), spec, tmp_path / "x")
