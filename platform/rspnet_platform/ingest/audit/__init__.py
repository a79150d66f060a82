"""What a person looks at after an ingest: the numbers of a data set, what is odd in it, and pictures of it."""
