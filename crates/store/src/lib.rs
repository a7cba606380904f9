//! SQLite or PostgreSQL: one adapter, one file per noun, migrations
