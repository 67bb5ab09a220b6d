"""The truth of images in a folder: masks, boxes in COCO's format, and tables of values or labels."""

__all__ = ["coco", "files", "masks", "tables"]
