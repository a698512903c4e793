"""The benchmark: unseen worlds, scored by the shipped, held-out and rival detectors, as figures and pages."""
