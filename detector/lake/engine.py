"""The one place that runs SQL: three calls, DuckDB behind them.

Statements come from pure functions in ``features`` and ``detector``. A second engine (Spark) needs the same
three calls: bind a relation, query SQL to Arrow, query in a sandbox.
"""
