"""The bundled vision transformer."""
