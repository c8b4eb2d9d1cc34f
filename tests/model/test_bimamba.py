"""The bidirectional backbone and the symmetric one, held to what they are said to be."""

import pytest
import torch

from dnamamba.alphabet import PAD, Tokenizer
from dnamamba.config import BiMambaConfig, SymmetricBiMambaConfig
from dnamamba.model import LanguageModel
from dnamamba.model.backbone import Backbone
from dnamamba.model.families import Sizes, build
from dnamamba.model.strand import reverse_complement

SIZES = {"d_model": 12, "n_layers": 3, "d_state": 5, "dt_rank": 2}
COMPLEMENT = torch.tensor(list(Tokenizer().complement_table))


def config(symmetric: bool) -> BiMambaConfig | SymmetricBiMambaConfig:
    return SymmetricBiMambaConfig(**SIZES) if symmetric else BiMambaConfig(**SIZES)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """In fp64, every parameter of order one: a forgotten or swapped one shows."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.double().parameters():
        parameter.data += 0.4 * torch.randn(parameter.shape, generator=generator).double()
    return model


def backbone(symmetric: bool = False) -> Backbone:
    torch.manual_seed(0)
    made = shaken(build(config(symmetric)))
    assert isinstance(made, Backbone)
    return made


def bases(rows: int, length: int) -> torch.Tensor:
    return torch.randint(4, 9, (rows, length), generator=torch.Generator().manual_seed(length))


def test_each_direction_sees_its_side_alone():
    """One direction with flipped inputs is the other with its weights: no tensor is flipped."""
    model = backbone()
    mixer = model.layers[0].mixer
    x = torch.randn(2, 9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    inputs, z = mixer.in_proj(x).chunk(2, -1)
    mirrored = mixer.mamba_rev(inputs.flip(1), z.flip(1), None).flip(1)
    mixer.mamba_rev.reverse = False
    torch.testing.assert_close(mixer.mamba_rev(inputs, z, None), mirrored)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("layer", [None, 0, 1])
def test_a_padded_row_gives_what_it_gives_alone(symmetric: bool, layer: int | None):
    model, lengths = backbone(symmetric), torch.tensor([9, 4, 1, 8])
    tokens = bases(4, 9)
    tokens[torch.arange(9) >= lengths[:, None]] = PAD
    upstream = torch.randn(4, 9, 24 if symmetric else 12, dtype=torch.float64)

    hidden, state = model(tokens, lengths=lengths, layer=layer)
    assert state is None
    real = (torch.arange(9) < lengths[:, None])[..., None]
    (hidden * upstream * real).sum().backward()
    together = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    for row, n in enumerate(lengths.tolist()):
        alone, _ = model(tokens[row : row + 1, :n], layer=layer)
        torch.testing.assert_close(hidden[row, :n], alone[0])
        (alone * upstream[row, :n]).sum().backward()
    apart = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(together) == len(apart) > 10
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("symmetric", [False, True])
def test_packed_segments_do_not_see_each_other(symmetric: bool):
    model, tokens = backbone(symmetric), bases(2, 11)
    resets = torch.zeros(2, 11, dtype=torch.bool)
    resets[0, 4] = resets[1, 7] = resets[1, 8] = True
    hidden, _ = model(tokens, resets=resets, lengths=torch.tensor([9, 11]))
    for row, first, last in [(0, 0, 4), (0, 4, 9), (1, 0, 7), (1, 7, 8), (1, 8, 11)]:
        alone, _ = model(tokens[row : row + 1, first:last])
        torch.testing.assert_close(hidden[row, first:last], alone[0])


@pytest.mark.parametrize("length", [1, 8, 33])
def test_the_opposite_strand_gives_the_same_the_other_way_round(length: int):
    torch.manual_seed(0)
    model = LanguageModel(config(symmetric=True))
    shaken(model)
    tokens = bases(2, length)
    lengths = torch.tensor([length, max(1, length - 3)])
    turned = reverse_complement(tokens, lengths, COMPLEMENT)
    hidden = model.backbone(tokens, lengths=lengths)[0]
    opposite = model.backbone(turned, lengths=lengths)[0]
    logits, of_opposite = model.head(hidden), model.head(opposite)
    vectors, of_other = model.backbone.features(hidden), model.backbone.features(opposite)
    for row, n in enumerate(lengths.tolist()):
        assert torch.equal(opposite[row, :n], hidden[row, :n].flip(0, 1))
        torch.testing.assert_close(of_other[row, :n], vectors[row, :n].flip(0))
        expected = logits[row, :n].flip(0)[:, COMPLEMENT[:16]]
        torch.testing.assert_close(of_opposite[row, :n], expected)


def test_nothing_of_a_plain_one_is_symmetric():
    model, tokens = backbone(), bases(1, 8)
    turned = reverse_complement(tokens, torch.tensor([8]), COMPLEMENT)
    assert not torch.allclose(model(turned)[0].mean(1), model(tokens)[0].mean(1), atol=0.1)


@pytest.mark.parametrize("symmetric", [False, True])
def test_what_it_refuses(symmetric: bool):
    model, tokens = backbone(symmetric), bases(2, 6)
    with pytest.raises(ValueError, match="lengths must say how many positions"):
        model(torch.where(torch.arange(6) < 5, tokens, PAD))
    causal = build(config_of_mamba())
    with pytest.raises(ValueError, match="lengths must be 0 to 5, the positions of a row"):
        model(torch.full((2, 5), 4), lengths=torch.tensor([6, 5]))
    with pytest.raises(ValueError, match="reads a sequence whole and takes no state"):
        model(tokens, causal.initial_state(2))  # type: ignore[operator]


def config_of_mamba():  # type: ignore[no-untyped-def]
    from dnamamba.config import MambaConfig

    return MambaConfig(d_model=12, n_layers=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"complement": [0, 1]}, "must pair all 16 ids"),
        ({"complement": [1, 2, 0, *range(3, 16)]}, "must pair all 16 ids"),
        ({"complement": "reverse"}, "must be a list of ids"),
        ({"vocab_size": 9}, "no built-in tokenizer has 9 ids"),
        ({"pad": 16}, "pad must be an id from 0 to 15"),
    ],
)
def test_configurations_that_make_no_sense(values: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        SymmetricBiMambaConfig(**values)  # type: ignore[arg-type]


def test_a_size_that_another_family_has_is_refused():
    assert Sizes(family="bimamba", d_model=8).config == BiMambaConfig(d_model=8)
    with pytest.raises(ValueError, match="bos is no size of family bimamba; leave it out"):
        Sizes(family="bimamba", bos=4)
    with pytest.raises(ValueError, match="complement is no size of family mamba"):
        Sizes(complement=(0,))
