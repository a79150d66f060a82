"""Runs, metrics, the model registry. Alone in importing mlflow, and only when it talks to a store."""
