"""The published archives: downloaded, unpacked, and read as they are."""
