"""Flow-T: the velocity of a transformer decoder whose only tokens are the flow state and the observation."""

from functools import partial

from torch import Tensor, nn

from offlow_sacflow.normalisation import RowNorm, Statistics
from offlow_sacflow.rollout import NoisyVelocity, step_times
from offlow_sacflow.scratch.batch_renorm import BatchRenorm, input_norm
from offlow_sacflow.scratch.config import FlowTConfig
from offlow_sacflow.scratch.velocity import bounded
from offlow_sacflow.transformer import TokenContext, TokenDecoder


class FlowT(nn.Module):
    """Normalises the observation, and the flow state by a layer of its own at each step, before the decoder."""

    def __init__(self, observation_dim: int, action_dim: int, config: FlowTConfig):
        super().__init__()
        self.config, steps = config, config.denoising_steps
        self.noise_factor, self.counts_scale = 1 / steps, config.path_logprob == "exact"
        make_norm = input_norm(config)
        self.observation_norm = make_norm(observation_dim)
        self.action_norms = nn.ModuleList([make_norm(action_dim) for _ in range(steps)])
        token_norm = partial(BatchRenorm, config=config) if config.use_batch_norm else RowNorm
        self.decoder = TokenDecoder(observation_dim, action_dim, config.d_model, config.n_layers, token_norm)
        self.mean_head, self.log_std_head = (
            nn.utils.skip_init(nn.Linear, config.d_model, action_dim) for _ in range(2)
        )

    def field(self, observations: Tensor, statistics: Statistics | None = None) -> NoisyVelocity:
        """The field for observations [B, S]; in train mode where there are statistics."""
        times = step_times(self.config.denoising_steps, observations)
        context = self.decoder.context(self.observation_norm(observations, statistics), times)
        return partial(self._velocity, context, statistics)

    def _velocity(
        self, context: TokenContext, statistics: Statistics | None, x: Tensor, step: int
    ) -> tuple[Tensor, Tensor]:
        token = self.decoder(self.action_norms[step](x, statistics), step, context, statistics)
        low, high = self.config.log_std_min, self.config.log_std_max
        return self.mean_head(token), bounded(self.log_std_head(token), low, high)

    def freeze_null_parameters(self) -> None:
        """Leave `null_parameters` out of training."""
        for parameter in self.null_parameters():
            parameter.requires_grad_(False)

    def null_parameters(self) -> list[nn.Parameter]:
        """Parameters whose gradient is zero in train mode but for rounding.

        All of them do nothing but add a constant to every row of a batch before it is normalised: the time embedding,
        and the biases of whatever goes into a normalisation by linear maps alone.
        """
        decoder = self.decoder
        modules = [decoder.action, decoder.memory.layers[-1], *self.action_norms]
        for layer in decoder.layers:
            for attention in (layer.self_attention, layer.cross_attention):
                modules += [attention.value, attention.output]
            modules += [layer.contract, layer.norms[0]]
        modules += [layer.norms[2] for layer in decoder.layers[:-1]]
        return [*decoder.time.parameters(), *(module.get_parameter("bias") for module in modules)]
