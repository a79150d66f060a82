"""Fine-tuning: runs of the same loop with labels, from a model's encoder, and their accuracy on held-out videos."""
