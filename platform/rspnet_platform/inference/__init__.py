"""A trained encoder at work: videos in, one embedding a video out; needs neither Ray nor MLflow."""
