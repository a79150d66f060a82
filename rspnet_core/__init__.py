"""What is learnt: sampling, augmentation, encoders, losses, pretext tasks and evaluation, in pure PyTorch.

Nothing here imports Ray, MLflow or a decoder, and `rspnet_core.sampling` not even torch: decode workers run
it.
"""
