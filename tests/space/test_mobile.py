"""What the layout `mobile` refuses, and how it is written as text."""

from __future__ import annotations

import pytest

from compactnas.config import RunConfig, SearchConfig
from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.reporting.figures.words import genotype_words
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

PER = ("block", "layer")
SMALL = {"layout": "mobile", "blocks": 2, "max_depth": 2, "channels_by_block": (4, 6)}


def chain(channels: tuple[int, ...], depths: tuple[int, ...], names: tuple[str, ...]) -> Genotype:
    """A network with one operation in each block."""
    nodes = tuple(((name, node),) for node, name in enumerate(names))
    return Genotype(nodes, depths, channels[0], "mobile", channels)


@pytest.mark.parametrize("per", PER)
def test_it_is_drawn_as_text(per: str) -> None:
    space = Space(**SMALL, alpha_per=per)
    lines = genotype_words(space.genotype([(("mb_k3_e1", 0),)] * space.computed, (2, 1)))
    assert lines == [
        "genotype: layout mobile, channels 4-6, depths 2-1 behind the reductions",
        "  block 1: layers 2 x mb_k3_e1",
        "  block 2: reduction mb_k3_e1, layers 1 x mb_k3_e1",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"operations": ("skip_connect", "mb_k3_e1")}, "cannot have skip_connect, which has no form with stride 2"),
        ({"operations": ("none", "mb_k3_e1")}, "cannot have none"),
        ({"nodes": 5}, "has layers, not cells; leave space.nodes out"),
        ({"channels": 8, "channels_by_block": (4, 6, 8)}, "begins with 4; leave one out"),
        ({"channels_by_block": (4, 6)}, "for each of the 3 blocks"),
        ({"channels_by_block": (4, 0, 6)}, "give a number from 1 to 1024"),
        ({"channels_by_block": (1, 4, 6)}, "the first block of the mobile layout, which normalises two halves, needs"),
        ({"channels": 1}, "the mobile layout, which normalises two halves, needs at least 2"),
        ({"layout": "paper", "channels_by_block": (4, 6, 8)}, "doubles the channels in each block"),
        ({"layout": "paper", "alpha_per": "layer"}, "all cells of the paper layout share alpha"),
    ],
)
def test_spaces_that_it_does_not_have(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        Space(**{"layout": "mobile"} | changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "depths", "said"),
    [
        (((("mb_k3_e1", 0),),) * 1, (1, 1), "1 nodes; the mobile layout has one for each of its 2 blocks"),
        (((("mb_k3_e1", 0),), (("mb_k3_e1", 0),)), (1, 1), "node 1 of the mobile layout has one operation, on state 1"),
        (((("mb_k3_e1", 0),), (("skip_connect", 1),)), (1, 1), "cannot have skip_connect"),
        (((("mb_k3_e1", 0),), ()), (1, 1), "node 1 of the mobile layout has one operation"),
    ],
)
def test_networks_that_it_does_not_have(nodes: tuple[object, ...], depths: tuple[int, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Genotype(nodes, depths, 4, "mobile")


def test_a_network_too_large_is_refused_before_it_is_built() -> None:
    huge = chain((1024, 1024, 1024), (32, 32, 32), ("mb_k3_e6",) * 3)
    with pytest.raises(UserError, match="weights; a network has at most"):
        Network(huge, 3, 10)


def test_a_layer_beyond_the_rows_of_alpha_is_refused() -> None:
    space, search = Space(**SMALL, alpha_per="layer"), SearchConfig(search_depth=False, initial_depth=3)
    with pytest.raises(UserError, match=r"search\.initial_depth: 3 is above space\.max_depth=2"):
        RunConfig(space=space, search=search)
