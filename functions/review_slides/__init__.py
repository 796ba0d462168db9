"""The review function: one module a concern beside its handler."""
