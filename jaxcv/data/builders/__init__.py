"""TFDS builders for data that ships with the dependencies: no download, no TensorFlow."""
