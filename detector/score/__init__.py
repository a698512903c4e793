"""Scoring: calibrated, additive models of what was measured, and how their scores become one."""
