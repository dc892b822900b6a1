"""What the JAX packages share: networks, flows, device-resident data, compiled blocks of updates and the seed axis."""
