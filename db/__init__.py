"""The only place with SQL: models, queries, views, functions."""
