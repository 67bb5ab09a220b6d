"""Models that run out of the box; each folder holds a settings file, a model class and the script that trained it."""
