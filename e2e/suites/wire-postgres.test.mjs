// The cases of wire.test.mjs once more, with everything kept in PostgreSQL. `cargo xtask test` starts a server for it.
const server = process.env.CARNET_TEST_POSTGRES;
if (server) {
  process.env.CARNET_TEST_DATABASE_URL = `${server}/postgres`;
  await import('./wire.test.mjs');
} else if (!process.env.CARNET_TEST_SKIP_POSTGRES) {
  throw new Error('CARNET_TEST_POSTGRES must name a PostgreSQL server whose database `postgres` is empty');
}
