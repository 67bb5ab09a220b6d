"""Files that nobody would write, made of good ones, at every door through which a file comes in."""
