/** The app's PostgreSQL through the client that it has: `pg` or `postgres` (postgres.js), told apart by shape. */
import { NinesError } from "../std/errors.ts";

type Rows = readonly Readonly<Record<string, unknown>>[];

/** One statement, inside a transaction. */
export type Run = (text: string, values?: readonly unknown[]) => Promise<Rows>;

interface PgClient {
  query(text: string, values?: unknown[]): PromiseLike<{ readonly rows: Rows }>;
}
interface PgPool extends PgClient {
  connect(): Promise<PgClient & { release(error?: unknown): void }>;
}
interface PostgresTransaction {
  unsafe(text: string, values?: never[]): PromiseLike<Rows>;
}
interface PostgresClient extends PostgresTransaction {
  begin<T>(work: (tx: PostgresTransaction) => Promise<T>): Promise<T>;
}

/** The caller's transaction. Throws `invalid` for anything else. */
export function toRun(tx: unknown): Run {
  if (has(tx, "unsafe")) {
    const { unsafe } = tx as unknown as PostgresTransaction;
    return async (text, values = []) => await unsafe.call(tx, text, values as never[]);
  }
  if (has(tx, "query") && !has(tx, "connect", "totalCount")) {
    const client = tx as unknown as PgClient;
    return async (text, values = []) => (await client.query(text, [...values])).rows;
  }
  throw new NinesError("invalid", "tx is no transaction of a PostgreSQL client that is known here", {
    hint: "give what sql.begin passes (postgres), or the client of pool.connect() between BEGIN and COMMIT (pg)",
  });
}

/** Runs work in a transaction of its own. Throws `invalid` for what is neither a pg.Pool nor postgres(…). */
export function toTransact(client: unknown): <T>(work: (run: Run) => Promise<T>) => Promise<T> {
  if (has(client, "begin", "unsafe")) {
    const sql = client as unknown as PostgresClient;
    return (work) => sql.begin((tx) => work(toRun(tx)));
  }
  if (has(client, "connect", "query", "totalCount")) {
    const pool = client as unknown as PgPool;
    return (work) => transact(pool, work);
  }
  throw new NinesError("invalid", "outbox: expected a Pool of pg, or what postgres(url) makes");
}

async function transact<T>(pool: PgPool, work: (run: Run) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: unknown;
  try {
    await client.query("begin");
    const result = await work(toRun(client));
    await client.query("commit");
    return result;
  } catch (error) {
    failure = error;
    await client.query("rollback").then(
      () => {
        failure = undefined;
      },
      () => {},
    );
    throw error;
  } finally {
    // One that could not even roll back is not given to others.
    client.release(failure);
  }
}

function has(value: unknown, ...names: readonly string[]): value is object {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  return names.every((name) => name in value);
}
