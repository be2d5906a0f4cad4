"""Convolutional networks: every block and every strong configuration on small, odd and grey pictures."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from search_spaces import contracts
from search_spaces.neural import convnet, vision
from search_spaces.neural.vision.body import Body, BodyPlan
from search_spaces.neural.vision.cost import cost
from search_spaces.neural.vision.parts import Style, Summary, Whitened
from search_spaces.spec import Shape, starts

FAMILY = convnet.FAMILY
SMALL = {"width": 8, "growth": 1.5, "depth_1": 1, "depth_2": 1, "depth_3": 1}
SHAPES = [(8, 8, 1), (20, 12, 3), (9, 31, 3), (1, 1, 1)]


def picture_net(shape: tuple[int, int, int], **params: object) -> nn.Module:
    torch.manual_seed(0)
    return FAMILY.build({**starts(FAMILY.space), **params}, Shape((), (), 3, image=shape))


def bytes_of(shape: tuple[int, int, int], rows: int = 6) -> torch.Tensor:
    return torch.randint(0, 256, (rows, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def train_a_step(network: nn.Module, x: torch.Tensor) -> None:
    """A few gentle steps lower the loss on the same rows, unless these are all that a pixel can say."""
    y = torch.arange(len(x)) % 3
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = nn.functional.cross_entropy(network.train()(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", vision.names())
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2)])
def test_a_block_changes_width_and_size_as_asked(name: str, stride: tuple[int, int]) -> None:
    """Any block takes any width and stride, in every style, and lets gradients through."""
    for style in (Style(), Style(5, "gelu", "group", squeeze_excite=True, drop_path=0.3)):
        block = vision.get(name)(8, 24, stride, style).train()
        x = torch.randn(4, 8, 9, 12, requires_grad=True)
        said = block(x)
        assert said.shape == (4, 24, -(-9 // stride[0]), -(-12 // stride[1]))
        said.square().sum().backward()
        assert x.grad is not None
        assert bool(x.grad.abs().sum() > 0)


def test_an_unknown_block_is_refused_with_the_known_ones() -> None:
    """A typing error on a block is answered with the names there are."""
    with pytest.raises(ValueError, match=r"unknown block 'resnet'. Known blocks: plain, residual"):
        vision.get("resnet")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("block", vision.names())
def test_every_block_learns_on_small_odd_and_grey_pictures(block: str, shape: tuple[int, int, int]) -> None:
    """A network of each block builds for any picture, starts from a guess of nothing and learns."""
    network = picture_net(shape, block=block, down="block" if block != "plain" else "pool", **SMALL)
    x = bytes_of(shape)
    network.learn(x)
    with torch.inference_mode():
        assert torch.equal(network.eval()(x), torch.zeros(len(x), 3))
    train_a_step(network, x)


@pytest.mark.parametrize("number", range(len(FAMILY.configs())))
def test_each_strong_configuration_builds_and_learns(number: int) -> None:
    """The default and the portfolio, on colour and on grey pictures."""
    for shape in ((16, 16, 3), (12, 10, 1)):
        network = picture_net(shape, **FAMILY.configs()[number])
        x = bytes_of(shape, rows=4)
        network.learn(x)
        train_a_step(network, x)


def test_the_space_holds_its_starts_and_its_portfolio() -> None:
    """Every configuration lies inside its bounds, and none is tried twice."""
    contracts.check_space(FAMILY)
    assert 4 <= len(FAMILY.portfolio) <= 6


def test_declaring_the_family_loads_no_torch() -> None:
    """The space can be read where no network is ever built."""
    code = (
        "import sys, search_spaces.neural.convnet, search_spaces.neural.soundnet, search_spaces.neural.vision\n"
        "print('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_bytes_and_floats_on_their_scale_say_the_same() -> None:
    """What augmentation turned to floats is read as the bytes it came from."""
    network, x = picture_net((12, 12, 3), **SMALL), bytes_of((12, 12, 3))
    nn.init.normal_(network.body.head.weight)
    network.learn(x)
    with torch.inference_mode():
        assert torch.equal(network.eval()(x), network(x.float()))


def test_pictures_are_measured_before_training() -> None:
    """The front gives channels around zero of deviation one, and a channel that never changes stays finite."""
    x = bytes_of((16, 16, 3), rows=32)
    x[..., 2] = 7
    network = picture_net((16, 16, 3), **SMALL)
    network.learn(x)
    maps = network.front(x)
    torch.testing.assert_close(maps.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(maps.std(dim=(0, 2, 3))[:2], torch.ones(2), atol=1e-2, rtol=0)
    assert torch.equal(maps[:, 2], torch.zeros(32, 16, 16))


def test_a_share_of_the_resolution_costs_its_square() -> None:
    """Half the side is about a quarter of the operations, with the same weights."""
    full = cost(picture_net((64, 64, 3), map_px=64), (64, 64, 3))
    half = cost(picture_net((64, 64, 3), map_px=64, resolution=0.5), (64, 64, 3))
    assert full.parameters == half.parameters
    assert half.flops == pytest.approx(full.flops / 4, rel=0.02)


def test_the_stem_brings_large_pictures_down() -> None:
    """The same configuration costs about the same on pictures of twice the side."""
    small, large = (cost(picture_net((side, side, 3)), (side, side, 3)).flops for side in (32, 64))
    assert large < 1.2 * small


def test_cost_counts_what_a_hand_counts() -> None:
    """A convolution and a matrix, by their products; the network keeps its mode."""
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(4 * 5 * 6, 7)).train()
    counted = cost(network, (2, 5, 6), torch.float32)
    assert counted.parameters == 4 * 2 * 9 + 4 * 5 * 6 * 7 + 7
    assert counted.flops == 2 * (4 * 5 * 6 * 2 * 9 + 7 * 4 * 5 * 6)
    assert network.training


def test_whitened_patches_are_spread_alike() -> None:
    """After `learn` no direction of the strong ones stands out."""
    x = torch.randn(64, 1, 12, 12).cumsum(dim=2).cumsum(dim=3)  # smooth, like pictures
    x = (x - x.mean()) / x.std()
    stem = Whitened(1, 8, 3, Style())
    stem.learn(x)
    seen = nn.functional.conv2d(x, stem.directions)
    spread = seen.std(dim=(0, 2, 3))
    assert float(spread.max()) == pytest.approx(1.0, abs=0.15)


def test_a_summary_of_both_is_twice_as_wide() -> None:
    """Mean, largest value, or one after the other."""
    x = torch.randn(2, 3, 4, 5)
    both = Summary("both")(x)
    torch.testing.assert_close(both, torch.cat([Summary("average")(x), Summary("max")(x)], dim=1))


def test_a_body_shrinks_a_long_map_only_where_there_is_something_left() -> None:
    """A map of one line, as of sounds over time, goes through all stages."""
    params = {**starts(FAMILY.space), **SMALL}
    body = Body(params, BodyPlan(16, (1, 100), 2)).eval()
    assert body(torch.randn(3, 16, 1, 100)).shape == (3, 2)


def test_a_network_without_its_media_is_refused() -> None:
    """A shape of a table is answered with what is missing."""
    with pytest.raises(ValueError, match="reads images, but the shape has none"):
        FAMILY.build(starts(FAMILY.space), Shape((), (), 2))
