"""What visitors store: sessions, their folders, and how much room they may take."""
