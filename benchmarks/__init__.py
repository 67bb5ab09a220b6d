"""How fast Picasso is and how much memory it takes, as ratios against a baseline measured in the same run."""
