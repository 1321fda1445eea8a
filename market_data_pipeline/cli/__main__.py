"""`python -m market_data_pipeline.cli` is `mdp`."""

import sys

from market_data_pipeline.cli.main import main

sys.exit(main())
