"""Which model wrote this: fingerprints of text, trained on labelled outputs, with an honest "don't know".

The only part of hydrawatch that uses torch; nothing here imports it before it is needed, so that everything else
runs without the ``attribution`` extra.
"""

from __future__ import annotations
