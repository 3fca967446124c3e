"""Weights in and out: other people's checkpoints as pytrees of parameters."""
