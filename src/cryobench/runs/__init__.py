"""Running methods: one run is one folder, with its measured cost."""
