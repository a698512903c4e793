"""The world generator: seeded, labelled traffic of an LLM API, honest and abusive, in our own words.

Nobody has a public log labelled as distillation, so training and backtests need worlds whose truth is
known. Everything here is invented; real traces and prompts only guided the numbers typed into it.
Test seeds are 900000 and above and are never used for training or tuning; training seeds stay below 100000.
"""
