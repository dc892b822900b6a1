"""SAC Flow in PyTorch: flow policies trained as recurrent cells, with the entropy of their noisy rollouts."""
