"""Pictures of slides: tiles, regions, colour management, channels, masks, associated images."""
