"""SimCLR between rho clips of a video (rho-SimCLR).

Chen et al., https://arxiv.org/abs/2002.05709, carried over to video by Feichtenhofer et al., CVPR 2021,
https://arxiv.org/abs/2104.14558. Symbols as in `losses.nt_xent`; rho is `clips.num_clips`. With more than two clips the
pairs are each clip and the next, and their losses are summed, as in the published code.

The study says that batch norm in the head matters; its shipped settings leave it out ("mlp_3", the default here).

Deviation on purpose: the published code passes backward pair by pair, here all clips pass at once, which is the same
gradient but for batch norm, which sees them together.
"""

from rspnet_core.pretext.batch_contrast import BatchContrast


class SimCLR(BatchContrast):
    """rho clips a video."""
