"""The label function: the images that show a patient's label."""
