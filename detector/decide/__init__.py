"""Deciding: verdicts by the alert budget, what was known before, and what each score is made of."""
