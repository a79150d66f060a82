"""The card of an encoder for small videos."""

from rspnet_platform.inference.encoder_card import EncoderCard, EncoderInput

CARD = EncoderCard(
    encoder="tiny",
    feature_dim=128,
    input=EncoderInput(num_frames_per_clip=4, crop_size=32, short_side=40, num_clips=2),
    method="rspnet",
    protocol="rspnet_paper",
)
