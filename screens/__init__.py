"""What is shown (Textual). Arrives with the screens."""
