"""Reports of what was measured: tables, pages, pictures."""
