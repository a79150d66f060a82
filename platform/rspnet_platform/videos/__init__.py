"""Video files of any origin: decoding one from its first frame to its last, and why one can be unusable."""
