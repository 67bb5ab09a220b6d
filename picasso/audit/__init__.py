"""What a model has learned in place of the thing: pictures are changed in one respect, and predictions counted."""
