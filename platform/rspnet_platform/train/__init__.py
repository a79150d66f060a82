"""Ray Train: launch, the visible loop, checkpoints, phase timers, progress."""
