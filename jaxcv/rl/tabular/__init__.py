"""Decision problems small enough for tables: exact solutions, and learning from experience.

Equations are those of Sutton & Barto, Reinforcement Learning, 2nd edition (2018).
"""
