import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightmobile.export.targets.decompositions import decomposed

# torch.export's own.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


class Norms(nn.Module):
    """Layer norms over one axis and over two, with and without weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = torch.linspace(0.5, 1, 6), torch.linspace(-1, 1, 6)
        return F.layer_norm(F.layer_norm(x, (4, 6), eps=0.25), (6,), weight, bias)


class Products(nn.Module):
    """A batch of products, and one that broadcasts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ x.mT) @ x[0, 0]


@pytest.mark.parametrize("module", [Norms(), Products()])
def test_what_is_left_computes_the_same(module: nn.Module) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 6)
    program = torch.export.export(module, (x,))
    result = decomposed(program)
    names = {str(node.target) for node in result.graph.nodes}
    assert "aten.layer_norm.default" not in names
    torch.testing.assert_close(result.module()(x), module(x))


def test_a_batch_of_products_is_not_broadcast() -> None:
    x = torch.randn(2, 3, 4, 6)
    names = [str(n.target) for n in decomposed(torch.export.export(Products(), (x,))).graph.nodes]
    assert "aten.bmm.default" in names


def test_a_program_without_them_stays_as_it_is() -> None:
    program = torch.export.export(nn.Conv2d(3, 4, 1), (torch.randn(1, 3, 4, 4),))
    assert decomposed(program) is program
