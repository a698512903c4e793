"""Training: labelled measurements of synthetic worlds, and every model fitted on them."""
