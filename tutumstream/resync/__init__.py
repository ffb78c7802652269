"""What happened while nobody listened: found out by comparing what is with what was known, and told."""
