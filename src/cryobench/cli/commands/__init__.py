"""The commands, one a file: its options and help, and the call. Nothing heavy is imported until it runs."""
