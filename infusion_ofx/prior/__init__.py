"""Prior: what other frames of the shot have seen behind the hole. Read propagate.py first."""
