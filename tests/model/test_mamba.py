"""The model's own promises: cutting, padding, packing and batching change no number."""

import copy
import pickle
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dnamamba.config import MambaConfig
from dnamamba.model import LanguageModel, Mamba1State

CONFIG = MambaConfig(d_model=16, n_layers=2, d_state=4, dt_rank=3, dt_min=0.02, dt_max=0.5)
# fp32: sums of a few hundred terms in another order.
CLOSE = {"rtol": 1e-4, "atol": 2e-6}


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return build()


def build(config: MambaConfig = CONFIG) -> LanguageModel:
    """A model in which the state weighs as much as the input, so that a lost one shows."""
    torch.manual_seed(0)
    model = LanguageModel(config)
    with torch.no_grad():
        model.backbone.embedding.weight.normal_(std=0.2)
        for name, parameter in model.named_parameters():
            if name.endswith(("norm.weight", "norm_f.weight", ".D", "A_log")):
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
            if name.endswith(("in_proj.weight", "x_proj.weight", "out_proj.weight")):
                parameter.mul_(3)
    return model


def tokens(batch: int, length: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 16, (batch, length), generator=generator)


def random_state(model: LanguageModel, batch: int, seed: int = 2) -> Mamba1State:
    generator = torch.Generator().manual_seed(seed)
    zeros = model.backbone.initial_state(batch)
    return zeros.each(lambda part: torch.randn(part.shape, generator=generator))


def equal_states(a: Mamba1State, b: Mamba1State) -> None:
    torch.testing.assert_close(a.conv, b.conv, **CLOSE)
    torch.testing.assert_close(a.ssm, b.ssm, **CLOSE)


def in_chunks(model: LanguageModel, ids: Tensor, cuts: list[int], state: Mamba1State | None = None):
    """Logits and state of a pass cut at ``cuts``."""
    parts = []
    for start, end in pairwise([0, *cuts, ids.shape[1]]):
        logits, state = model(ids[:, start:end], state)
        parts.append(logits)
    return torch.cat(parts, 1), state


@torch.no_grad()
def test_the_state_weighs(model):
    """Without it the tests below would prove little."""
    ids = tokens(2, 60)
    expected, state = model(ids)
    blind, _ = model(ids[:, 30:])
    assert (blind - expected[:, 30:]).norm() > 0.1 * expected[:, 30:].norm()
    for part in (Mamba1State(state.conv * 0, state.ssm), Mamba1State(state.conv, state.ssm * 0)):
        difference = model(ids, part)[0] - model(ids, state)[0]
        assert difference.norm() > 0.02 * expected.norm()


@pytest.mark.parametrize(("chunk", "length"), [(1, 130), (7, 260), (64, 1000), (1000, 1300)])
@torch.no_grad()
def test_chunks_give_what_the_uncut_pass_gives(model, chunk, length):
    ids = tokens(2, length)
    expected, after = model(ids)
    got, state = in_chunks(model, ids, list(range(chunk, length, chunk)))
    torch.testing.assert_close(got, expected, **CLOSE)
    equal_states(state, after)


@settings(max_examples=25, deadline=None)
@given(st.data())
@torch.no_grad()
def test_cuts_anywhere_with_a_state_before(data):
    model = build()
    length = data.draw(st.integers(2, 40))
    cuts = data.draw(st.sets(st.integers(1, length - 1)))
    ids, before = tokens(2, length), random_state(model, 2)
    expected, after = model(ids, before)
    got, state = in_chunks(model, ids, sorted(cuts), before)
    torch.testing.assert_close(got, expected, **CLOSE)
    equal_states(state, after)


@torch.no_grad()
def test_step_is_forward_of_one_token(model):
    ids, state = tokens(3, 50), random_state(model, 3)
    expected, after = model(ids, state)
    kept = copy.deepcopy(state)
    step = state
    for t in range(50):
        logits, step = model.step(ids[:, t], step)
        torch.testing.assert_close(logits, expected[:, t], **CLOSE)
    equal_states(step, after)
    assert torch.equal(state.conv, kept.conv), "the state that came in was changed"
    assert torch.equal(state.ssm, kept.ssm), "the state that came in was changed"


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    carried=st.booleans(),
    marks=st.none() | st.integers(0, 2**32),
)
@torch.no_grad()
def test_padding_never_enters_the_state(lengths, carried, marks):
    model, batch, longest = build(), len(lengths), 12
    ids = tokens(batch, longest)
    before = random_state(model, batch) if carried else None
    resets = None
    if marks is not None:
        generator = torch.Generator().manual_seed(marks)
        resets = torch.rand(batch, longest, generator=generator) < 0.2
    logits, after = model(ids, before, resets, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        start = before.take(torch.tensor([row])) if before else None
        got = after.take(torch.tensor([row]))
        if length == 0:
            equal_states(got, start or model.backbone.initial_state(1))
            continue
        cut = None if resets is None else resets[one, :length]
        expected, alone = model(ids[one, :length], start, cut)
        torch.testing.assert_close(logits[one, :length], expected, **CLOSE)
        equal_states(got, alone)


def test_what_stands_in_the_padding_changes_nothing(model):
    ids, lengths = tokens(2, 20), torch.tensor([20, 9], dtype=torch.int32)
    other = ids.clone()
    other[1, 9:] = 15 - other[1, 9:]
    logits, state = model(ids, lengths=lengths)
    logits_other, state_other = model(other, lengths=lengths)
    assert torch.equal(logits[1, :9], logits_other[1, :9])
    assert torch.equal(state.conv, state_other.conv)
    assert torch.equal(state.ssm, state_other.ssm)

    embedded = []
    handle = model.backbone.embedding.register_forward_hook(lambda *call: embedded.append(call[2]))
    try:
        _, state = model(ids, lengths=lengths)
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(state.ssm.sum() + state.conv.sum(), embedded)
    assert gradient[1, 9:].abs().max() == 0
    assert gradient[1, :9].abs().min() > 0


@torch.no_grad()
def test_resets_make_separate_sequences(model):
    sizes = [1, 2, 17, 5, 30]
    ids, before = tokens(1, sum(sizes)), random_state(model, 1)
    starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    resets = torch.zeros(1, sum(sizes), dtype=torch.bool)
    resets[0, starts] = True
    packed, state = model(ids, before, resets)
    for start, size in zip(starts.tolist(), sizes, strict=True):
        expected, alone = model(ids[:, start : start + size])
        torch.testing.assert_close(packed[:, start : start + size], expected, **CLOSE)
    equal_states(state, alone)


@torch.no_grad()
def test_rows_do_not_see_each_other(model):
    ids = tokens(5, 33)
    logits, state = model(ids)
    for row in range(5):
        expected, alone = model(ids[row : row + 1])
        torch.testing.assert_close(logits[row : row + 1], expected, **CLOSE)
        equal_states(state.take(torch.tensor([row])), alone)


@torch.no_grad()
def test_uint8_tokens_are_the_same_tokens(model):
    ids = tokens(2, 9)
    assert torch.equal(model(ids)[0], model(ids.to(torch.uint8))[0])
    state = model.backbone.initial_state(2)
    expected = model.step(ids[:, 0], state)[0]
    assert torch.equal(model.step(ids[:, 0].to(torch.uint8), state)[0], expected)


def test_gradient_flows_through_the_state(model):
    ids = tokens(2, 40)
    parameters = dict(model.named_parameters())

    def gradients(loss: Tensor) -> dict[str, Tensor]:
        return dict(zip(parameters, torch.autograd.grad(loss, parameters.values()), strict=True))

    whole = gradients(model(ids)[0][:, 15:].square().mean())
    _, state = model(ids[:, :15])
    carried = gradients(model(ids[:, 15:], state)[0].square().mean())
    cut = gradients(model(ids[:, 15:], state.detach())[0].square().mean())
    for name, expected in whole.items():
        assert (carried[name] - expected).norm() <= 1e-4 * expected.norm(), name
    name = "backbone.embedding.weight"
    assert (cut[name] - whole[name]).norm() > 0.01 * whole[name].norm()


def test_autocast_keeps_states_and_weights_in_fp32(model):
    ids = tokens(2, 120)
    expected, state = model(ids)
    with torch.autocast("cpu", torch.bfloat16):
        logits, half = model(ids)
        head, carried = model(ids[:, :50])
        tail, carried = model(ids[:, 50:], carried)
        step, _ = model.step(ids[:, 0], model.backbone.initial_state(2))
    assert logits.dtype == torch.bfloat16
    assert (half.conv.dtype, half.ssm.dtype) == (torch.bfloat16, torch.float32)
    # bf16 keeps 8 bits; a few roundings a layer.
    for got in (logits, torch.cat([head, tail], 1)):
        assert (got.float() - expected).norm() < 0.03 * expected.norm()
    assert (step.float() - expected[:, 0]).norm() < 0.03 * expected[:, 0].norm()
    for ssm in (half.ssm, carried.ssm):
        assert (ssm - state.ssm).norm() < 0.03 * state.ssm.norm()
    logits.float().square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.dtype == torch.float32, name
    model.zero_grad()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_a_cast_model_keeps_its_decay_exact(dtype):
    model = build()
    expected, _ = model(tokens(2, 60))
    exact = [layer.mixer.A_log.clone() for layer in model.backbone.layers]
    model.to(dtype)
    logits, state = model(tokens(2, 60))
    assert (logits.dtype, state.conv.dtype, state.ssm.dtype) == (dtype, dtype, torch.float32)
    assert (logits.float() - expected).norm() < 0.05 * expected.norm()
    for layer, A_log in zip(model.backbone.layers, exact, strict=True):
        assert torch.equal(layer.mixer.A_log, A_log)
    state = model.backbone.initial_state(2)
    assert (state.conv.dtype, state.ssm.dtype) == (dtype, torch.float32)
    assert model.step(tokens(2, 1)[:, 0], state)[0].dtype == dtype


@torch.no_grad()
def test_a_double_model_is_double_throughout():
    logits, state = build().double()(tokens(2, 9))
    assert {logits.dtype, state.conv.dtype, state.ssm.dtype} == {torch.float64}


class Adapter(nn.Module):
    """A low-rank adapter around a projection, as peft's."""

    def __init__(self, base: nn.Linear, scale: float) -> None:
        super().__init__()
        self.base = base
        generator = torch.Generator().manual_seed(3)
        self.down = nn.Parameter(torch.randn(2, base.in_features, generator=generator))
        self.up = nn.Parameter(torch.randn(base.out_features, 2, generator=generator) * scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T


@pytest.mark.parametrize("name", ["in_proj", "x_proj", "dt_proj", "out_proj"])
def test_an_adapter_keeps_its_effect_and_its_gradient(name):
    ids, plain = tokens(2, 20), build()
    expected, _ = plain(ids)
    merged, adapted = copy.deepcopy(plain), copy.deepcopy(plain)
    adapter = Adapter(getattr(adapted.backbone.layers[0].mixer, name), scale=0.2)
    setattr(adapted.backbone.layers[0].mixer, name, adapter)
    with torch.no_grad():
        getattr(merged.backbone.layers[0].mixer, name).weight += adapter.up @ adapter.down

    logits, _ = adapted(ids)
    assert (logits - expected).norm() > 0.01 * expected.norm()
    torch.testing.assert_close(logits, merged(ids)[0], **CLOSE)
    step, _ = adapted.step(ids[:, 0], adapted.backbone.initial_state(2))
    torch.testing.assert_close(step, logits[:, 0], **CLOSE)
    logits.square().mean().backward()
    for parameter in (adapter.up, adapter.down, adapter.base.weight):
        assert parameter.grad.norm() > 0

    with torch.no_grad():
        adapter.up.zero_()
    torch.testing.assert_close(adapted(ids)[0], expected, **CLOSE)


@pytest.mark.parametrize("name", ["in_proj", "x_proj", "dt_proj", "out_proj"])
@torch.no_grad()
def test_a_hook_on_a_projection_is_called(name):
    model, ids = build(), tokens(2, 20)
    expected, _ = model(ids)
    projection = getattr(model.backbone.layers[0].mixer, name)
    projection.register_forward_hook(lambda module, inputs, output: output * 1.5)
    assert (model(ids)[0] - expected).norm() > 0.01 * expected.norm()


# At a graph break dynamo asks inner tensors for .grad, and hides the warning where it is none.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_compiled_model_gives_the_same_numbers(model):
    ids = tokens(2, 12)
    compiled = torch.compile(model, backend="aot_eager")
    expected, after = model(ids)
    logits, state = compiled(ids)
    torch.testing.assert_close(logits, expected, **CLOSE)
    equal_states(state, after)
    names, parameters = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(expected.square().mean(), parameters)
    got = torch.autograd.grad(logits.square().mean(), parameters)
    for name, a, b in zip(names, got, gradients, strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm(), name


@torch.no_grad()
def test_the_backbone_up_to_a_block(model):
    """The stream behind each block, whole and in chunks; the final norm of the last is the end."""
    backbone, ids = model.backbone, tokens(2, 9)
    whole, _ = backbone(ids)
    assert torch.equal(backbone(ids, layer=-1)[0], whole)
    streams = []
    for layer in range(2):
        stream, _ = backbone(ids, layer=layer)
        streams.append(stream)
        first, state = backbone(ids[:, :4], layer=layer)
        rest, after = backbone(ids[:, 4:], state, layer=layer)
        assert after.ssm.shape[0] == layer + 1
        torch.testing.assert_close(torch.cat([first, rest], 1), stream, **CLOSE)
    torch.testing.assert_close(backbone.norm_f(streams[1], None)[0], whole, **CLOSE)
    # What the second block adds is what its mixer makes of the first one's stream.
    second = backbone.layers[1]
    added, _ = second.mixer(second.norm(streams[0], None)[0])
    torch.testing.assert_close(streams[0] + added, streams[1], **CLOSE)
    for layer in (2, -2):
        with pytest.raises(ValueError, match=rf"layer must be 0 to 1, .* got {layer}"):
            backbone(ids, layer=layer)
    with pytest.raises(ValueError, match=r"state must have shapes \(\(1, 2,"):
        backbone(ids, backbone.initial_state(2), layer=0)


@torch.no_grad()
def test_copies_and_pickles(model):
    expected, _ = model(tokens(1, 5))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(tokens(1, 5))[0], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tokens": tokens(1, 4)[0]}, r"tokens must be \(B, L\).*\(4,\)"),
        ({"tokens": tokens(1, 4)[:, :0]}, r"tokens must be \(B, L\) with L >= 1"),
        ({"resets": torch.zeros(1, 3, dtype=torch.bool)}, r"resets must be bool.*\(1, 3\)"),
        ({"resets": torch.zeros(1, 4)}, "resets must be bool.*float32"),
        ({"lengths": torch.tensor([4, 4])}, r"lengths must be.*\(1,\).*\(2,\)"),
        ({"lengths": torch.tensor([4.0])}, "lengths must be int32 or int64.*float32"),
        (
            {"lengths": torch.tensor([5])},
            "lengths must be 0 to 4, the positions of a row, got 5 to 5",
        ),
        ({"lengths": torch.tensor([-1])}, "lengths must be 0 to 4, .* got -1 to -1"),
    ],
)
def test_errors_name_the_argument(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**{"tokens": tokens(1, 4)} | arguments)


def test_a_state_of_another_batch_is_refused(model):
    with pytest.raises(ValueError, match=r"state must have shapes .*2, 1, 32, 3"):
        model(tokens(1, 4), model.backbone.initial_state(2))
    with pytest.raises(ValueError, match=r"state must have shapes .*2, 1, 32, 3"):
        model.step(tokens(1, 1)[0], model.backbone.initial_state(2))
    with pytest.raises(ValueError, match=r"tokens must be \(B,\), got \(2, 1\)"):
        model.step(tokens(2, 1), model.backbone.initial_state(2))
