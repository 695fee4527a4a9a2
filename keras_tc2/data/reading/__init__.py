"""From the bytes of a picture to pixels, and what is said when that fails."""
