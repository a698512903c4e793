"""The fingerprint: members that read one text, their blend, and the folder of a trained model."""
