"""From a trained model to class maps and scores, with test-time augmentation and sliding windows."""
