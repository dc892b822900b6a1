"""SAC Flow from scratch: online, with batch-renormalised critics and velocity networks."""
