"""What the channels of a layer respond to, and what happens without them."""

__all__ = ["channel", "contact_sheet", "effects", "questions"]
