"""The commands, one per file: options, help and call. Nothing heavy is imported until a command runs."""
