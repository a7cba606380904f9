//! On which of the two engines a test runs.

use carnet_testpg::Database;

/// Where the broker under test keeps its data.
pub enum Engine {
    /// `carnet.db` in a folder of its own.
    Sqlite,
    /// An empty database of its own.
    Postgres(Database),
}

impl Engine {
    /// Another empty one of the same kind.
    pub async fn another(&self) -> Self {
        match self {
            Self::Sqlite => Self::Sqlite,
            Self::Postgres(_) => Self::postgres().await.expect("there was one before"),
        }
    }

    /// An empty database; `None` if the developer chose to test without PostgreSQL.
    pub async fn postgres() -> Option<Self> {
        Database::create().await.expect("PostgreSQL can be had").map(Self::Postgres)
    }
}

/// Makes of each `async fn name(engine: Engine)` two tests: `on_sqlite::name` and `on_postgres::name`.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                Box::pin(super::$name($crate::Engine::Sqlite)).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(engine) = $crate::Engine::postgres().await {
                    Box::pin(super::$name(engine)).await;
                }
            })*
        }
    };
}
