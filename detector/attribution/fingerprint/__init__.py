"""The fingerprint: members that read one text, their blend, and the folder a trained model lies in."""
