"""What the graph itself says: rules, paths and similarity, straight from its edges."""
