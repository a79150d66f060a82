"""CVRL: two clips of a video, near in time more often than far, under temporally consistent augmentation.

Qian et al., "Spatiotemporal Contrastive Video Representation Learning", CVPR 2021,
https://arxiv.org/abs/2008.03800, and the published code (tensorflow/models, video_ssl).

| paper | here |
|---|---|
| t, the interval between the clips | `clips`, see `TemporalIntervalSampler` |
| temporally consistent spatial augmentation | `view`, `second_view`; their `per_frame` for the inconsistent ones |
| f, MLP, z | `encoder`, `head`, its normalised output |
| tau, N | `temperature`, the videos of the global batch: 2N - 2 negatives |
| InfoNCE (eq. 1), both ways | `losses.nt_xent`, "sum_of_directions" |

The published code blurs every first clip and one in ten of the second, and solarises one in five of the second; the
paper's text does not say so clearly: `second_view` makes them differ.

Deviations on purpose: ten tries of a crop instead of a hundred; no clamping between colour operations, and a blur that
reaches three sigmas instead of 11 pixels (see `augmentation`); weight decay as the optimizer's setting instead of a
part of the loss (the same gradient in SGD); batch norm is per worker unless `sync_batch_norm` is on, which is the
default and needs GPUs.
"""

from rspnet_core.losses.nt_xent import Reduction
from rspnet_core.pretext.batch_contrast import BatchContrast


class CVRL(BatchContrast):
    """Two clips a video, in the random order of `TemporalIntervalSampler`'s plan."""

    reduction: Reduction = "sum_of_directions"
