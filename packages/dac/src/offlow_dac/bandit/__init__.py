"""The two-dimensional bandit of arXiv 2405.20555: which guidance climbs the rewards without leaving the data."""
