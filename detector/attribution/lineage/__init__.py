"""Which teacher a suspect model learned from: similarity to each candidate, against a null of decoys."""
