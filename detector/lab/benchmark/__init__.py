"""The benchmark: worlds nobody trained on, scored by the shipped, held-out and rival detectors, as figures and pages."""
