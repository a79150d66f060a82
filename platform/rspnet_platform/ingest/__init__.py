"""Videos of any kind in, a data set of indexed shards out, with a list of what was refused and why."""
