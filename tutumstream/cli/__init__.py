"""The `tutumstream` command, for operators."""
