"""A transformer decoder for one action token that attends to one memory token: the observation.

Attention to a single token is a linear map: its softmax over one score is 1, whatever the query and the key. So
queries, keys and the number of heads have no effect on any value or gradient, and there are none here; only
`flax_parameters` knows of them, as they have a place in checkpoints.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.activations import gelu
from offlow_core.torch.networks import Mlp
from offlow_sacflow.normalisation import MakeNorm, Statistics


class SingleTokenAttention(nn.Module):
    """Multi-head attention to one token: the output projection of its value projection."""

    def __init__(self, width: int):
        super().__init__()
        self.value, self.output = (nn.utils.skip_init(nn.Linear, width, width) for _ in range(2))

    def forward(self, token: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        return self.output(self.value(token))


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and two dense layers; each is added to its input, then the sum is normalised."""

    def __init__(self, width: int, make_norm: MakeNorm):
        super().__init__()
        self.self_attention, self.cross_attention = SingleTokenAttention(width), SingleTokenAttention(width)
        self.expand = nn.utils.skip_init(nn.Linear, width, 4 * width)
        self.contract = nn.utils.skip_init(nn.Linear, 4 * width, width)
        self.norms = nn.ModuleList([make_norm(width) for _ in range(3)])

    def forward(self, token: Tensor, seen: Tensor, statistics: Statistics | None = None) -> Tensor:
        """[B, width], with what cross-attention sees of the memory [B, width] -> [B, width]."""
        after_self, after_cross, after_dense = self.norms
        token = after_self(token + self.self_attention(token), statistics)
        token = after_cross(token + seen, statistics)
        hidden = gelu(self.expand(token))
        return after_dense(token + self.contract(hidden), statistics)


class TokenContext(NamedTuple):
    """What the K steps of a rollout share: their embedded times, [K, width] or each row's own [K, B, width], and what
    each layer sees of the memory [B, width]."""

    times: Tensor
    seen: list[Tensor]


class TokenDecoder(nn.Module):
    """Turns a flow state x at a time into a token, given observations."""

    def __init__(self, observation_dim: int, action_dim: int, width: int, layers: int, make_norm: MakeNorm):
        super().__init__()
        self.memory = Mlp(observation_dim, [width // 2], width, functional.silu)
        self.time = Mlp(1, [width // 4, width // 2], width, functional.silu)
        self.action = nn.utils.skip_init(nn.Linear, action_dim, width)
        decoder_layers = nn.ModuleList([DecoderLayer(width, make_norm) for _ in range(layers)])
        self.layers = cast(Sequence[DecoderLayer], decoder_layers)

    def context(self, observations: Tensor, times: Tensor) -> TokenContext:
        """For observations [B, S] and the times of K steps, shared [K, 1] or each row's own [K, B, 1]."""
        memory = self.memory(observations)
        return TokenContext(self.time(times), [layer.cross_attention(memory) for layer in self.layers])

    def forward(self, x: Tensor, step: int, context: TokenContext, statistics: Statistics | None = None) -> Tensor:
        """[B, A] at a step from 0 to K - 1 -> [B, width]."""
        token = self.action(x) + context.times[step]
        for layer, seen in zip(self.layers, context.seen, strict=True):
            token = layer(token, seen, statistics)
        return token
