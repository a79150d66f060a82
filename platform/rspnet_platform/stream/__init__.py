"""From shards to clip batches: the epoch's order, the plan of what is left, decoding, and what has been trained on."""
