"""Pages: ``contents`` gathers what a report shows, the other files draw it and write it into a folder."""
