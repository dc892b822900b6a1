"""The two-dimensional bandit of arXiv 2208.06193: which kinds of policies can imitate, and improve on, four corners."""
