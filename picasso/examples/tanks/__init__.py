"""The example of the tank detector that had learned cloudy skies."""
