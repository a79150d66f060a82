"""Fine-tuning for recognition: a classifier on an encoder, trained with labels, and what it is worth.

The tasks are of the same kind as `PRETEXT_TASKS`, and the same loop trains them. Import paths, so that `--help` costs
no torch.
"""

RECOGNITION_TASKS = {"recognition": "rspnet_core.recognition.recognition:Recognition"}
