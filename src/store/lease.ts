/**
 * Leases: rights with an end, by the database's clock alone. The token grows by one at each change of holder,
 * and a write that carries an old one fails (`Fence`): a leader that slept through its end changes nothing.
 */
import { defaultTtlMs, type Leases } from "../std/candidate.ts";
import { NinesError } from "../std/errors.ts";
import type { Database } from "./database.ts";

export interface StoredLeases extends Leases {
  /** Whether the name is known, or there is room for it among the names with the prefix. */
  hasRoom(prefix: string, name: string, max: number): Promise<boolean>;
}

export function createLeases(database: Database): StoredLeases {
  return {
    async acquire(name, holder, ttlMs = defaultTtlMs) {
      const rows = await database.run(
        "acquire a lease",
        (sql) => sql`
          select holder, token::float8 as token, left_ms from nines.lease_acquire(${name}, ${holder}, ${ttlMs})`,
      );
      const row = rows[0] as unknown as { holder: string; token: number; left_ms: number } | undefined;
      if (row === undefined)
        throw new NinesError("internal", `lease ${name} vanished`, { blame: "platform" });
      return row.holder === holder
        ? { kind: "held", token: row.token }
        : { kind: "taken", holder: row.holder, leftMs: Math.max(0, row.left_ms) };
    },

    async renew(name, holder, token, ttlMs = defaultTtlMs) {
      const rows = await database.run(
        "renew a lease",
        (sql) => sql`select nines.lease_renew(${name}, ${holder}, ${token}, ${ttlMs}) as held`,
      );
      return rows[0]?.held === true;
    },

    async hasRoom(prefix, name, max) {
      const rows = await database.run(
        "count leases",
        (sql) => sql`
          select exists (select from nines.leases where name = ${name})
            or (select count(*) < ${max} from nines.leases where starts_with(name, ${prefix})) as room`,
      );
      return rows[0]?.room === true;
    },

    async release(name, holder, token) {
      await database.run(
        "release a lease",
        (sql) => sql`
          update nines.leases set expires_at = clock_timestamp()
          where name = ${name} and holder = ${holder} and token = ${token}`,
      );
    },
  };
}
