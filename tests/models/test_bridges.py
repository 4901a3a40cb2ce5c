"""Networks that are not ours: folded by what follows what, and built by a user's code."""

import sys

import pytest
import torch
from torch import nn

from lightmobile.errors import UsageError
from lightmobile.models import complexity, create_model, fuse, list_models, model_info, prepare
from lightmobile.models.bridges.constants import computed_constants
from lightmobile.models.bridges.foreign import Foreign
from lightmobile.models.bridges.function import is_function
from tests.models.norms import randomize_norms


def conv(width=4):
    return nn.Conv2d(3, width, 3)


class Pair(nn.Module):
    """A convolution and a norm, and whatever `run` makes of them."""

    def __init__(self, run, **norm):
        super().__init__()
        self.conv, self.bn, self.run = conv(), nn.BatchNorm2d(4, **norm), run

    def forward(self, x):
        return self.run(self, x)


class PaddedConv(nn.Conv2d):
    def forward(self, x):
        return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1)), self.weight, self.bias)


class StandardizedConv(nn.Conv2d):
    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias)


def functional(pair, x):
    return pair.bn(nn.functional.conv2d(x, pair.conv.weight, pair.conv.bias))


def out_of_order():
    """The norm is registered before the convolution that it follows."""
    pair = Pair(lambda pair, x: pair.bn(pair.conv(x)))
    pair.conv = pair._modules.pop("conv")
    return pair


def norms_left(network):
    """Deploy `network`, compare the two forms in float64, and return how many norms stay."""
    torch.manual_seed(0)
    model = randomize_norms(Foreign(network, "mine:net", (12, 10))).double().eval()
    x = torch.randn(2, 3, 12, 10, dtype=torch.float64)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    deployed = fuse(model)
    with torch.no_grad():
        expected, actual = model(x), deployed(x)
    assert torch.linalg.norm(actual - expected) <= 1e-12 * torch.linalg.norm(expected)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    return sum(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU()),
        out_of_order(),
        Pair(functional),
        nn.Sequential(PaddedConv(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3)),
        nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, bias=False), nn.BatchNorm2d(6), nn.Tanh()),
    ],
)
def test_a_norm_behind_a_convolution_is_folded(network):
    assert norms_left(network) == 0


@pytest.mark.parametrize(
    "network",
    [
        Pair(lambda pair, x: (y := pair.conv(x)) + pair.bn(y)),
        Pair(lambda pair, x: pair.bn(pair.conv(x).relu_())),
        Pair(lambda pair, x: pair.bn(pair.conv(x)) + pair.conv(x)),
        Pair(lambda pair, x: pair.bn(pair.bn(pair.conv(x)))),
        Pair(lambda pair, x: pair.bn(pair.conv(x)) * pair.bn.weight.sum()),
        nn.Sequential(nn.BatchNorm2d(3), conv()),
        nn.Sequential(StandardizedConv(3, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.ConvTranspose2d(3, 4, 3), nn.BatchNorm2d(4)),
    ],
)
def test_any_other_norm_stays(network):
    assert norms_left(network) == 1


@pytest.mark.parametrize("norm", [{"affine": False}, {"track_running_stats": False}])
def test_a_norm_without_weights_or_statistics_stays(norm):
    network = Pair(lambda pair, x: pair.bn(pair.conv(x)), **norm)
    deployed = fuse(Foreign(network, "mine:net", (8, 8)))
    assert isinstance(deployed.network.bn, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (lambda x: [x, x * 2], 2),
        (lambda x: {"a": x, "b": x, "c": x}, 3),
        (lambda x: (x,), 1),
    ],
)
def test_several_outputs_become_a_tuple(answer, count):
    outputs = Foreign(Pair(lambda _, x: answer(x)), "mine:net", (8, 8))(torch.zeros(1, 3, 8, 8))
    assert isinstance(outputs, tuple)
    assert len(outputs) == count


@pytest.mark.parametrize("answer", [None, [], 3, {"a": 1}, [[torch.zeros(1)]]])
def test_an_answer_without_tensors_is_refused(answer):
    with pytest.raises(UsageError, match=r"mine:net answers a"):
        Foreign(Pair(lambda *_: answer), "mine:net", (8, 8)).check()


def test_what_comes_from_weights_alone_is_known():
    pair = Pair(lambda pair, x: pair.conv(x) + (pair.bn.weight * pair.mask)[:, None, None])
    pair.register_buffer("mask", torch.tensor([1.0, 0, 2, 3]), persistent=False)
    sources = [names for _, names in computed_constants(Foreign(pair, "mine:net", (8, 8)))]
    assert frozenset() in sources  # the mask
    assert frozenset({"network.bn.weight"}) in sources
    assert computed_constants(pair) == []


def test_what_a_network_makes_of_an_image_is_no_constant():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    assert computed_constants(Foreign(network, "mine:net", (8, 8))) == []


MODULE = """
import torch
from torch import nn

def net(width=4, classes=5):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))

def features():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = nn.Conv2d(3, 4, 3, padding=1)
        def forward(self, x):
            y = self.model(x)
            return {"fine": y, "coarse": nn.functional.avg_pool2d(y, 2)}
    return Net()

def text(): return "a network"
def fails(): raise RuntimeError("no luck")
def only_square(): return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5))
number = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a user's modules; one of them has torch's name."""
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("raise OSError('out of luck')")
    (tmp_path / "torch.py").write_text("raise SystemExit('I am not torch')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in ("mine", "broken"):
        sys.modules.pop(name, None)


def test_a_function_is_a_model(here):
    assert is_function("mine:net")
    assert model_info("mine:net").input_size == (224, 224)
    prepared = prepare("mine:net", input_size=(24, 32), overrides={"width": 8}, seed=3)
    assert prepared.weights["source"] == "module"
    assert prepared.weights["seed"] == 3
    again = prepare("mine:net", input_size=(24, 32), overrides={"width": 8}, seed=3)
    assert again.weights == prepared.weights
    other = prepare("mine:net", input_size=(24, 32), overrides={"width": 8}, seed=4)
    assert other.weights["sha256"] != prepared.weights["sha256"]
    made = prepare("mine:net", input_size=(24, 32), overrides={"width": 8}, untrained=True)
    assert made.weights["source"] == "untrained"
    assert complexity("mine:net", (24, 32)).params == 3 * 4 * 9 + 8 + 25
    assert sys.path[-1] == str(here)


def test_drawing_the_weights_leaves_torchs_random_numbers_alone(here):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    create_model("mine:net")
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("prefix", ["", "module.", "network."])
@pytest.mark.parametrize("name", ["net", "features"])
def test_a_checkpoint_of_the_network_alone_loads(here, prefix, name):
    model = create_model(f"mine:{name}")
    state = {key: torch.ones_like(value) for key, value in model.network.state_dict().items()}
    torch.save({prefix + key: value for key, value in state.items()}, here / "c.pth")
    loaded = create_model(f"mine:{name}", here / "c.pth")
    assert all((value == 1).all() for value in loaded.state_dict().values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:net", "There is no module 'nowhere'"),
        ("mine.deeper:net", "There is no module 'mine.deeper'"),
        (":net", "There is no module ''"),
        ("mine:nothing", "mine has no 'nothing'"),
        ("mine:", "mine has no ''"),
        ("mine:number", "mine:number is no function"),
        ("mine:text", "mine:text returns a str"),
        ("mine:fails", "RuntimeError: no luck"),
        ("broken:net", r"The module broken cannot be imported\. OSError: out of luck"),
    ],
)
def test_what_is_no_model_is_told(here, name, message):
    with pytest.raises(UsageError, match=message):
        create_model(name)


def test_options_and_sizes_that_do_not_fit_are_told(here):
    with pytest.raises(UsageError, match=r"mine:net failed with \{'depth': 3\}.*'depth'"):
        create_model("mine:net", depth=3)
    with pytest.raises(UsageError, match="mine:only_square cannot take an input of 224x224"):
        prepare("mine:only_square")
    assert prepare("mine:only_square", input_size=(8, 8)).facts.input_size == (8, 8)


@pytest.mark.parametrize("name", ["fasternet_t0", "regnety_400mf@dWr:8", "timm:resnet18"])
def test_no_other_name_is_code(name):
    assert not is_function(name)


def test_functions_are_not_listed():
    assert not any(":" in name for name in list_models())
