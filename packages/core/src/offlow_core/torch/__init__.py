"""What the PyTorch packages share: networks, optimizers, device-resident data, updates without host synchronisation."""
