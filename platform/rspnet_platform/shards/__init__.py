"""The data set's own format: Parquet shards of indexed videos, written once, read packet by packet."""
