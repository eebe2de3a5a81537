"""From photos to batches for training: the packed cache, the augmentation and the drawing of samples."""
