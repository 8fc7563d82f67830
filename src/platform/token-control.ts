/** Tokens behind the API, and whose a token is: from this process's own copy of the registry, so with the database away too. */
import type { TokenControl } from "../api/api.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import {
  isToken,
  makeToken,
  nameOfToken,
  type Principal,
  parseTokenRecord,
  type TokenRecord,
  tokensMax,
  tokensPrefix,
  toTokenPath,
} from "../wire/tokens.ts";
import type { Access } from "./access.ts";

export function createTokenControl(replica: Replica, access: Access, clock: Clock): TokenControl {
  return {
    async list() {
      await access.refresh();
      return replica.list(tokensPrefix).map(({ value }) => {
        const { hash: _, ...told } = parseTokenRecord(value);
        return told;
      });
    },
    async add(caller, name, role) {
      const path = toTokenPath(name);
      const { token, hash } = makeToken(name);
      const record: TokenRecord = { name, role, hash, by: caller.by, at: clock.wall().toISOString() };
      await access.change(caller.by, () => {
        if (replica.get(path) !== undefined) {
          throw new NinesError("conflict", `there is a token "${name}" already`, {
            hint: `nines tokens revoke ${name} takes it back first`,
          });
        }
        const count = replica.list(tokensPrefix).length;
        if (count >= tokensMax)
          throw new NinesError("overloaded", `there are ${count} tokens, the most there may be`);
        return { writes: [{ kind: "set", path, value: record, ifRevision: 0 }], reply: undefined, say: "" };
      });
      const { hash: _, ...told } = record;
      return { ...told, token };
    },
    async revoke(caller, name) {
      const path = toTokenPath(name);
      await access.change(caller.by, () => {
        const entry = replica.get(path);
        if (entry === undefined) {
          throw new NinesError("not_found", `there is no token "${name}"`, {
            hint: "nines tokens lists them",
          });
        }
        return { writes: [{ kind: "remove", path, ifRevision: entry.revision }], reply: undefined, say: "" };
      });
    },
  };
}

/** Undefined when it is nobody's, or its record cannot be read. */
export function toPrincipal(replica: Replica, token: string): Principal | undefined {
  const name = nameOfToken(token);
  const value = name === undefined ? undefined : replica.get(`${tokensPrefix}${name}`)?.value;
  if (value === undefined) return undefined;
  try {
    const record = parseTokenRecord(value);
    return isToken(token, record) ? { name: record.name, role: record.role } : undefined;
  } catch {
    return undefined;
  }
}
