"""Which frames: pure arithmetic that returns frame indices; decoding obeys it. Imports numpy alone."""
