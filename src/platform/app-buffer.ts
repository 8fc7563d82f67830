/** Buffered writes of apps: whose target is whose, and that none is filled beyond its limit. */
import type { AppControl } from "../api/api.ts";
import { Depths, type NewWrite, parseWrite, type Refusal } from "../buffer/buffer.ts";
import type { Replica } from "../registry/registry.ts";
import type { Clock } from "../std/clock.ts";
import { NinesError } from "../std/errors.ts";
import type { Store } from "../store/store.ts";
import { parseTarget, paths, targetName } from "../wire/records.ts";

export interface AppBufferPorts {
  readonly replica: Replica;
  readonly store: Store;
  readonly clock: Clock;
}

type AppBuffer = Pick<AppControl, "writes" | "write" | "depth" | "handle">;

export function createAppBuffer({ replica, store, clock }: AppBufferPorts): AppBuffer {
  const depths = new Depths(store.writes, clock);

  const isOwn = (app: string, target: string) => target.startsWith(`${app}.`) && !target.startsWith("nines.");
  const isShared = (app: string, target: string) => {
    if (target.startsWith("nines.")) return false;
    try {
      return parseTarget(replica.get(paths.target(target))?.value).with.includes(app);
    } catch {
      return false;
    }
  };
  const refusalOf = (app: string, target: string): Refusal["code"] | undefined => {
    if (!isOwn(app, target) && !isShared(app, target)) return "forbidden";
    try {
      depths.enter(target);
      return undefined;
    } catch {
      return "overloaded";
    }
  };
  const writes = async (app: string, list: readonly NewWrite[]): Promise<readonly Refusal[]> => {
    const refused = new Map<string, Refusal["code"]>();
    const allowed = list.filter(({ target }) => {
      if (refused.has(target)) return false;
      const code = refusalOf(app, target);
      if (code !== undefined) refused.set(target, code);
      return code === undefined;
    });
    const hints = [...new Set(allowed.map((write) => write.target))];
    const unknown = allowed.length === 0 ? [] : await store.writes.write(allowed, { hints });
    return [...[...refused].map(([target, code]) => ({ target, code })), ...unknown];
  };

  return {
    writes: (app, list) =>
      writes(
        app,
        list.map(({ target, body, ...input }) =>
          parseWrite(target, Buffer.from(body, "base64"), input, () => input.idempotencyKey),
        ),
      ),
    async write(app, target, { body, ...input }) {
      const write = parseWrite(target, body, input, () => crypto.randomUUID());
      const [refusal] = await writes(app, [write]);
      if (refusal === undefined) return { idempotencyKey: write.idempotencyKey, durability: "database" };
      throw new NinesError(refusal.code, `${app} cannot write to ${target} now: ${refusal.code}`, {
        hint: `nines buffer:set ${target} URL makes a target, --share APP shares it`,
      });
    },
    async depth(app, target) {
      if (!isOwn(app, target) && !isShared(app, target)) {
        throw new NinesError("forbidden", `the target ${target} is not shared with ${app}`);
      }
      const found = await store.writes.depth(target);
      if (found === undefined) throw new NinesError("not_found", `there is no target ${target}`);
      return found;
    },
    async handle(app, target) {
      if (!targetName.test(target) || !isOwn(app, target)) {
        throw new NinesError("invalid", `"${target}" cannot be the name of a target of ${app}`);
      }
      const entry = await store.registry.get(paths.target(target));
      const record = entry?.value as { readonly url?: string } | undefined;
      if (record?.url === "handler:") return;
      if (record !== undefined) {
        throw new NinesError("conflict", `the writes to ${target} go to ${record.url}, not to a handler`, {
          hint: `nines buffer:set ${target} handler: changes that`,
        });
      }
      try {
        await store.registry.set(paths.target(target), { url: "handler:" }, { by: app, ifRevision: 0 });
      } catch (error) {
        // Another instance was faster, with the same.
        if (!(error instanceof NinesError) || error.code !== "conflict") throw error;
      }
    },
  };
}
