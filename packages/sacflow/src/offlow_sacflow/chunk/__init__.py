"""Offline to online with action chunks: QC-FQL, QC, FQL and n-step FQL, SAC Flow-T and -G, and a plain flow."""
