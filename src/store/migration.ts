/** Forward-only migrations: the files of sql/, in order, each once, never edited once applied. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Sql } from "postgres";
import { NinesError } from "../std/errors.ts";
import type { Log } from "../std/log.ts";

/** The database answers, but this version of Nines must leave it alone. */
export class RefusedError extends NinesError {
  constructor(message: string, hint: string) {
    super("conflict", message, { blame: "platform", hint });
  }
}

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

const folder = fileURLToPath(new URL("../../sql/", import.meta.url));
/** "nines" in ASCII: any number that nobody else locks. */
const lockKey = 0x6e_69_6e_65_73;
const timeoutMs = 60_000;

/** The files as they are on disk, by number. */
export function readMigrations(from = folder): readonly Migration[] {
  return readdirSync(from)
    .filter((name) => /^\d{6}_[a-z0-9_]+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(from, name), "utf8");
      const checksum = createHash("sha256").update(text).digest("hex");
      return { number: Number(name.slice(0, 6)), name, text, checksum };
    });
}

/** Applies what is missing; two processes may do so at once. Throws RefusedError for a database not ours to touch. */
export async function migrate(sql: Sql, log: Log, files = readMigrations()): Promise<void> {
  const [standby] = await sql`select pg_is_in_recovery() as yes`;
  if (standby?.yes) throw new NinesError("unavailable", "it is a read-only standby", { blame: "platform" });
  if ((await missing(sql, files)).length === 0) return;
  await sql.begin(async (tx) => {
    await tx.unsafe(`set local statement_timeout = ${timeoutMs}`);
    await tx.unsafe(`select pg_advisory_xact_lock(${lockKey})`);
    await tx.unsafe(`
      create schema if not exists nines;
      create table if not exists nines.migrations (
        number integer primary key, name text not null, checksum text not null,
        applied_at timestamptz not null default now())`);
    for (const file of await missing(tx, files)) {
      log.info("migration", { name: file.name });
      await tx.unsafe(file.text);
      await tx`insert into nines.migrations (number, name, checksum)
        values (${file.number}, ${file.name}, ${file.checksum})`;
    }
  });
}

async function missing(sql: Pick<Sql, "unsafe">, files: readonly Migration[]): Promise<readonly Migration[]> {
  const [table] = await sql.unsafe("select to_regclass('nines.migrations') is not null as exists");
  if (!table?.exists) return files;
  const rows = await sql.unsafe("select number, name, checksum from nines.migrations order by number");
  const newest = files.at(-1)?.number ?? 0;
  for (const row of rows) {
    const file = files.find(({ number }) => number === row.number);
    if (row.number > newest) {
      throw new RefusedError(
        `the database is from a newer Nines: it has ${row.name}, this version ends at ${newest}`,
        "run the newer version, or restore a backup from before the upgrade",
      );
    }
    if (file?.checksum !== row.checksum) {
      throw new RefusedError(
        `sql/${row.name} is not what was applied to the database`,
        "restore the file: an applied migration is never edited",
      );
    }
  }
  const applied = new Set(rows.map((row) => row.number));
  return files.filter(({ number }) => !applied.has(number));
}
