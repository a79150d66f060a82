"""Checkpoints looked at while training goes on: a score that is no loss, and whether features have collapsed."""
