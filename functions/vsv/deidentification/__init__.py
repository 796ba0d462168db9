"""Copies of slides that hold no patient data: written by allow-lists, searched before anybody sees them."""
