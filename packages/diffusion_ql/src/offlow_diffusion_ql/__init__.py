"""Diffusion-QL and its flow-matching variant in PyTorch."""
