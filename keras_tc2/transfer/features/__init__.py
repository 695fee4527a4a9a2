"""From encoders and images to features, and what is measured on them."""
