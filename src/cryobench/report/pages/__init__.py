"""Pages: ``contents`` gathers the contents of a report; the other files draw them and write them into a folder."""
