"""Synthetic worlds: seeded, labelled traffic of an LLM API, honest and abusive, in our own words.

There is no public log labelled as distillation, so training and backtests need worlds whose truth is known.
Everything here is invented; real traces and prompts only guided the numbers. Seeds from 900000 on are for tests and are
never used for training or tuning. Training seeds are below 100000.
"""
