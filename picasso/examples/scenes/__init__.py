"""The example of five networks, one for each kind of output, on photographs with handwritten digits."""
