"""Pictures of what a task or an encoder has learnt, for people to look at."""
