"""Reinforcement learning: agents that learn from what their actions lead to."""
