"""Linking: who shares which keys, which accounts are one operation, and how groups keep their ids."""
