"""The cache of verified answers: whether two questions ask the same, and the answers that were accepted."""
