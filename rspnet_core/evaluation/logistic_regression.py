"""Multinomial logistic regression, to convergence."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor

MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class LinearClassifier:
    weight: Float64[Tensor, "feature classes"]
    bias: Float64[Tensor, " classes"]
    classes: Int64[Tensor, " classes"]

    def predict(self, features: Float64[Tensor, "videos feature"]) -> Int64[Tensor, " videos"]:
        """Class numbers, of those fitted to; the smaller one where two score alike."""
        return self.classes[(features @ self.weight + self.bias).argmax(dim=1)]


def fit_logistic_regression(
    features: Float64[Tensor, "videos feature"],
    labels: Int64[Tensor, " videos"],
    *,
    strength: float,
    start: LinearClassifier | None = None,
) -> LinearClassifier:
    """Minimises mean cross-entropy + strength / 2 * |weight|^2 (no penalty on the bias) by L-BFGS in float64, from
    `start` (of the same classes) or from zero. The minimum is one point but for a constant added to all biases, and
    nothing is random.

    scikit-learn's `C` is 1 / (strength * videos).
    """
    classes, targets = labels.unique(return_inverse=True)
    weight = features.new_zeros(features.shape[1], len(classes)) if start is None else start.weight.clone()
    bias = features.new_zeros(len(classes)) if start is None else start.bias.clone()
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=MAX_ITERATIONS,
        tolerance_grad=GRADIENT_TOLERANCE,
        tolerance_change=1e-9,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Float[Tensor, ""]:
        optimizer.zero_grad()
        value = F.cross_entropy(features @ weight + bias, targets) + strength / 2 * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return LinearClassifier(weight=weight.detach(), bias=bias.detach(), classes=classes)
