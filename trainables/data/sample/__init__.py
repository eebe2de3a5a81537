"""The drawing of the built-in photos: objects on a ground, lit, photographed, and written as a COCO data set."""
