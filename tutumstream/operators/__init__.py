"""What operators may do while the service runs, and to its journal when it does not."""
