"""What ships with kg, as the package kg.data: the demo graph and the vocabulary. README.md tells of each."""
