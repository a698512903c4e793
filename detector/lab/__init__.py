"""The lab: synthetic worlds, training of the shipped models, and the benchmark. The product never imports it."""
