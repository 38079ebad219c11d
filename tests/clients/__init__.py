"""Other people's programs, by AWS_PROFILE alone, with no code of ours in them."""
