"""What the channels and the concepts of a layer respond to, and what happens without them."""

__all__ = ["channel", "concepts", "contact_sheet", "effects", "questions"]
