"""The tables and plots of ``attribute evaluate``: what a fingerprint reaches on held-out prompts."""
