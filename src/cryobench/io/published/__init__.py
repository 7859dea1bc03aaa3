"""The published archives: downloaded, unpacked, and read directly."""
