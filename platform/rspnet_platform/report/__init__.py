"""The page of a run: what was learnt, beside random initialisation, in numbers and pictures."""
