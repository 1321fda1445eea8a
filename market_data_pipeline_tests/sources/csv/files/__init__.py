"""CSV files as exporters write them, made from their public descriptions by a script that knows nothing of the reader.

`python -m market_data_pipeline_tests.sources.csv.files` writes `accepted/`, `refused/` and `answers.yaml` anew; the same files come out each time.
Prices and volumes are invented. Times are those at which the venues traded, worked out with `zoneinfo` alone.
"""
