"""The studies of trained weights, on weights of known structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightmobile.device_bench.findings import Claim, Findings
from lightmobile.device_bench.studies.conv_approximation import OPERATORS, blocks, fit
from lightmobile.device_bench.studies.run import run_study
from lightmobile.errors import UsageError
from lightmobile.models import create_model
from lightmobile.models.photographs import crops
from tests.cli import lightmobile

CENTRED = torch.tensor([[0.4, 0.7, 0.4], [0.7, 1.0, 0.7], [0.4, 0.7, 0.4]])
FLAT = torch.ones(3, 3)
RINGED = torch.full((5, 5), 0.1)
RINGED[1:4, 1:4] = CENTRED


def _kernels(mask: torch.Tensor, layers: int = 4) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    shape = (64, 1 if len(mask) == 5 else 16, *mask.shape)
    return {f"{i}.weight": mask * torch.randn(shape, generator=random) for i in range(layers)}


def _save(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def _claim(found: Findings, words: str) -> Claim:
    (claim,) = [each for each in found.claims if words in each.paper]
    return claim


def test_the_centre_of_kernels_and_what_is_around_it(tmp_path) -> None:
    state = _kernels(CENTRED) | {f"dw.{k}": v for k, v in _kernels(RINGED).items()}
    found = run_study("kernel-importance", checkpoint=_save(tmp_path, state))
    for words in ("centre always", "skeleton", "outermost ring"):
        assert _claim(found, words).verdict == "holds"
    table = found.tables[-1]
    means = {
        (row.cells["kernels"], row.cells["positions"]): row.cells["mean"] for row in table.rows
    }
    assert means["3x3 dense or grouped", "centre"] == pytest.approx(1)
    assert means["3x3 dense or grouped", "skeleton"] == pytest.approx(0.7, abs=0.02)
    assert means["3x3 dense or grouped", "corners"] == pytest.approx(0.4, abs=0.02)
    assert means["5x5 depthwise", "outer ring"] == pytest.approx(0.1, abs=0.02)
    assert found.session == found.device == ""


def test_corners_can_matter_more(tmp_path) -> None:
    mask = 1.4 - CENTRED
    found = run_study("kernel-importance", checkpoint=_save(tmp_path, _kernels(mask)))
    assert _claim(found, "skeleton").verdict == "does not hold"
    assert _claim(found, "centre always").verdict == "does not hold"
    assert _claim(found, "outermost ring").verdict == "undecided"


@pytest.mark.parametrize("name", ["kernel-importance", "conv-approximation"])
@pytest.mark.parametrize("source", ["normal", "uniform", "model", "zeros"])
def test_random_weights_are_refused(tmp_path, name, source) -> None:
    if source == "model":
        state = create_model("hetconv_resnet56_p1").state_dict()
    else:
        state = _kernels(FLAT)
        if source == "uniform":
            state = {key: torch.rand_like(value) - 0.5 for key, value in state.items()}
        elif source == "zeros":
            state = {key: torch.zeros_like(value) for key, value in state.items()}
    images = {"images": tmp_path} if name == "conv-approximation" else {}
    with pytest.raises(UsageError, match="are random"):
        run_study(name, checkpoint=_save(tmp_path, state), **images)


def test_a_checkpoint_without_spatial_kernels_is_refused(tmp_path) -> None:
    path = _save(tmp_path, {"fc.weight": torch.randn(4, 4)})
    with pytest.raises(UsageError, match="no kernels"):
        run_study("kernel-importance", checkpoint=path)
    with pytest.raises(UsageError, match="cannot be read"):
        run_study("kernel-importance", checkpoint=tmp_path / "absent.pth")


CHANNELS = 32


def _moments(count: int = 2000) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    mix = torch.randn(9 * CHANNELS, 9 * CHANNELS, generator=random, dtype=torch.float64)
    patches = torch.randn(count, 9 * CHANNELS, generator=random, dtype=torch.float64) @ mix
    return patches.T @ patches


def _loss(moments: torch.Tensor, left: torch.Tensor) -> float:
    return float((left * (moments @ left)).sum())


def _product(operator: str) -> torch.Tensor:
    """Return the map of a random pair of convolutions of this kind, [9C, C]."""
    random = torch.Generator().manual_seed(2)
    dense = torch.zeros(9 * CHANNELS, CHANNELS, dtype=torch.float64)
    for block in blocks(operator, CHANNELS):
        shape = len(block.inputs), block.rank
        first = torch.randn(shape, generator=random, dtype=torch.float64)
        second = torch.randn(block.rank, CHANNELS, generator=random, dtype=torch.float64)
        dense[block.inputs] = first @ second
    return dense


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_reproduces_its_own_kind(operator) -> None:
    moments = _moments()
    dense = _product(operator)
    for other in OPERATORS:
        error = _loss(moments, dense - fit(moments, dense, blocks(other, CHANNELS)))
        share = error / _loss(moments, dense)
        if other == operator:
            assert share < 1e-4
        elif (other, operator) != ("gconv", "dwconv"):  # a DWConv is a GConv too
            assert share > 1e-2


def test_the_blocks_are_the_operators_of_pytorch() -> None:
    # PConv then PWConv, as modules, against the map of patches that `blocks` speaks of.
    from torch.nn import functional as F

    from lightmobile.models.layers.pconv import PConv

    torch.manual_seed(0)
    partial, pointwise = PConv(CHANNELS), torch.nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)
    image = torch.randn(1, CHANNELS, 6, 6)
    with torch.no_grad():
        wanted = pointwise(partial(image)).flatten(2)[0].T.double()
        patches = F.unfold(image, 3, padding=1)[0].T.double()
        touched, rest = blocks("pconv", CHANNELS)
        first = partial.partial_conv3.weight.flatten(1).T.double()
        second = pointwise.weight[:, :, 0, 0].T.double()
        dense = torch.zeros(9 * CHANNELS, CHANNELS, dtype=torch.float64)
        dense[touched.inputs] = first @ second[: touched.rank]
        dense[rest.inputs] = second[touched.rank :]
        assert torch.allclose(patches @ dense, wanted, atol=1e-4)


def test_no_descent_finds_a_better_partial_convolution() -> None:
    random = torch.Generator().manual_seed(3)
    dense = torch.randn(9 * CHANNELS, CHANNELS, generator=random, dtype=torch.float64)
    moments = _moments()
    parts = blocks("pconv", CHANNELS)
    ours = _loss(moments, dense - fit(moments, dense, parts))
    touched, rest = parts
    factors = [
        torch.randn(shape, generator=random, dtype=torch.float64).mul_(0.1).requires_grad_()
        for shape in (
            (len(touched.inputs), touched.rank),
            (touched.rank, CHANNELS),
            (len(rest.inputs), CHANNELS),
        )
    ]
    optimizer = torch.optim.LBFGS(factors, max_iter=400, line_search_fn="strong_wolfe")
    scale = _loss(moments, dense)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        left = dense.clone()
        left[touched.inputs] -= factors[0] @ factors[1]
        left[rest.inputs] -= factors[2]
        loss = (left * (moments @ left)).sum() / scale
        loss.backward()
        return loss

    theirs = float(optimizer.step(step).detach()) * scale
    found = float(step().detach()) * scale
    assert ours <= 1.001 * min(theirs, found)


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images" / "class"
    folder.mkdir(parents=True)
    for index, crop in enumerate(crops(12, (48, 48))):
        Image.fromarray(crop).save(folder / f"{index}.png")
    return folder.parent


def _trained(folder: Path) -> Path:
    torch.manual_seed(0)
    state = create_model("hetconv_resnet56_p1").state_dict()
    for tensor in state.values():
        if tensor.ndim == 4 and tensor.shape[-1] == 3:
            tensor *= CENTRED
    return _save(folder, state)


def test_cheap_operators_are_fitted_to_a_network_on_images(tmp_path, images) -> None:
    found = run_study(
        "conv-approximation",
        checkpoint=_trained(tmp_path),
        model="hetconv_resnet56_p1",
        images=images,
    )
    (table,) = found.tables
    assert [row.cells["channels"] for row in table.rows[::3]] == [16, 32, 64]
    for row in table.rows:
        error, low, high = (row.cells[key] for key in ("error", "error_low", "error_high"))
        assert isinstance(error, float)
        assert isinstance(low, float)
        assert isinstance(high, float)
        assert 0 < low <= error <= high < 1
    assert {claim.verdict for claim in found.claims} <= {"holds", "does not hold", "undecided"}
    macs = {row.cells["operator"]: row.cells["macs"] for row in table.rows}
    assert macs[OPERATORS["pconv"]] == pytest.approx((9 / 16 + 1) / 9)
    assert macs[OPERATORS["gconv"]] == pytest.approx((9 / 16 + 1) / 9)
    assert macs[OPERATORS["dwconv"]] == pytest.approx((9 / 64 + 1) / 9)
    assert any("12 images" in note for note in found.notes)


@pytest.mark.parametrize(
    ("model", "count", "message"),
    [
        ("hetconv_resnet56_p1", 3, "at least 4"),
        ("mobilenet_v2", 12, "does not fit"),
        ("no_such_model", 12, "There is no model"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, images, model, count, message) -> None:
    for file in sorted(images.rglob("*.png"))[count:]:
        file.unlink()
    with pytest.raises(UsageError, match=message):
        run_study("conv-approximation", checkpoint=_trained(tmp_path), model=model, images=images)
    with pytest.raises(UsageError, match="no folder"):
        run_study(
            "conv-approximation",
            checkpoint=_trained(tmp_path),
            model="hetconv_resnet56_p1",
            images=tmp_path / "absent",
        )


def test_a_network_without_such_convolutions_is_told(tmp_path, images) -> None:
    state = create_model("mobilenet_v2").state_dict()
    for tensor in state.values():
        if tensor.ndim == 4 and tensor.shape[-1] == 3:
            tensor *= CENTRED
    path = _save(tmp_path, state)
    with pytest.raises(UsageError, match="no dense 3x3"):
        run_study("conv-approximation", checkpoint=path, model="mobilenet_v2", images=images)


def test_the_command_prints_weights_studies(tmp_path) -> None:
    path = _save(tmp_path, _kernels(CENTRED))
    text = lightmobile("study", "kernel-importance", "--checkpoint", path).out
    assert "HOLDS" in text
    assert "Nothing was measured on a device" in text
    document = lightmobile("study", "kernel-importance", "--checkpoint", path, "--json").json
    assert document["findings"]["study"] == "kernel-importance"
    assert np.isfinite(document["findings"]["tables"][0]["rows"][0]["cells"]["c0"])
