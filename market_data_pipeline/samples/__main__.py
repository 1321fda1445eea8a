"""`python -m market_data_pipeline.samples [--out data/samples]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from market_data_pipeline.domain.words import count
from market_data_pipeline.samples import write_samples


def main() -> None:
    """Write the sample files and say so in a line."""
    parser = argparse.ArgumentParser(prog="python -m market_data_pipeline.samples", description="Write CSV files with invented prices.")
    parser.add_argument("--out", type=Path, default=Path("data/samples"), help="folder for the files (default: data/samples)")
    folder: Path = parser.parse_args().out
    try:
        written = write_samples(folder)
    except OSError as error:
        sys.exit(f"The sample files could not be written to {folder}: {error.strerror or error}. Name another folder: --out FOLDER")
    verb = "made" if written.made else "unchanged"
    print(f"Sample data (invented prices): {count(written.files, 'file')}, {count(written.rows, 'bar')} in {written.folder}, {verb}.")


if __name__ == "__main__":
    main()
