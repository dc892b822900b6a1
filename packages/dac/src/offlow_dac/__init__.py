"""Diffusion Actor-Critic (DAC): policy improvement as noise regression with soft Q-guidance."""
