"""Keeping access tokens out of everything that is written or raised."""

import re

# What the tokens of the Hub look like, user and organisation: 34 letters and digits.
# Names such as `hf_convnext` are shorter.
_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{30,}")


def redact(text):
    """`text` with every access token of the Hub replaced by `hf_***`."""
    return _TOKEN.sub("hf_***", text)
