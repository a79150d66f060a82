"""Features in two dimensions, by principal components: nothing is random and nothing has to be tuned."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class PrincipalPlane:
    """`points`: float64 [num_videos, 2]; `explained`: the shares of the variance that the two axes hold."""

    points: np.ndarray
    explained: tuple[float, float]


def principal_plane(features: np.ndarray) -> PrincipalPlane:
    """Of the features' directions, since cosines compare those: scaled to length one, centred, seen along the two axes
    of the largest variance. Each axis points to where its largest weight is positive, so that the same features give
    the same picture anywhere. Raises ValueError for fewer than three videos, or features that are not finite."""
    if len(features) < 3:
        raise ValueError(f"{len(features)} videos to map; accepted are 3 or more")
    if not np.isfinite(features).all():
        raise ValueError("features are not finite; accepted are finite numbers")
    vectors = features.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    vectors -= vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(vectors, full_matrices=False)
    axes = axes[:2] * np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    variances = spread**2 / max(float((spread**2).sum()), 1e-300)
    return PrincipalPlane(points=vectors @ axes.T, explained=(float(variances[0]), float(variances[1])))
