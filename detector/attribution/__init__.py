"""Which model wrote this: fingerprints of text, trained on labelled outputs, with an honest "don't know".

No other part of hydrawatch uses torch. Nothing here imports it before it is needed, so everything else runs without
the ``attribution`` extra.
"""

from __future__ import annotations
