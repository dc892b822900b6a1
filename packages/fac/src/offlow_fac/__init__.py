"""Flow Actor-Critic (FAC) and its baseline Flow Q-Learning (FQL)."""
