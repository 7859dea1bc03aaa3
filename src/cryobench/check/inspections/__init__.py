"""What is inspected beside the conventions: images, labels, views, CTFs, outside references."""
