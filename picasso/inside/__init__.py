"""What the channels and the concepts of a layer respond to, and what happens without them."""

__all__ = ["channel", "concept_card", "concepts", "contact_sheet", "effects", "factors", "looking", "questions"]
