"""Measurements: each runs our program and the real one side by side and writes what it saw to results/."""
