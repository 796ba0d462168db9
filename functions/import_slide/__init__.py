"""The scanner's question, POST /ImportSlide."""
