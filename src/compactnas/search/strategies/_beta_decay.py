"""Beta-decay (Ye et al. 2022, "b-DARTS"): a loss on alpha that keeps its softmax from being decided early."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from compactnas.search.architecture import Architecture


def beta_decay(architecture: Architecture, weight: float, progress: float) -> Float[Tensor, ""] | None:
    """Compute lambda x the mean over the edges of log-sum-exp(alpha); None with a weight of zero.

    Its gradient with respect to alpha is lambda / edges times the softmax: it lowers the larger values the most.

    Args:
        architecture: Gives alpha.
        weight: Lambda at the end of the search.
        progress: Share of the search that is done; lambda rises with it linearly from 0.
    """
    if not weight:
        return None
    return weight * progress * architecture.alpha.logsumexp(dim=-1).mean()
