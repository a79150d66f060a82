"""Many runs over a space of settings: what is tried, which are stopped early, what came of them."""
