/** The platform's write buffer, as an app reaches it: over HTTP, at whichever controller answers. */
import type { NewWrite, WriteStore } from "../buffer/buffer.ts";
import { NinesError } from "../std/errors.ts";
import type { AppWrite, AppWrites, AppWritesReply, DepthReply } from "../wire/buffer.ts";
import type { Controllers } from "./controllers.ts";

export interface BufferFace extends WriteStore {
  /** Has a function of this app take the writes of its own target. */
  handle(target: string): Promise<void>;
}

/** Of one request, below what the platform takes. */
const requestBytesMax = 1_900_000;

export function createFace(controllers: Controllers, deadlineMs: number): BufferFace {
  const ask = (method: "GET" | "POST" | "PUT", path: string, more: { body?: unknown; app?: string } = {}) => {
    const { body, app } = more;
    // Writes carry their idempotency keys.
    return controllers.ask({ method, path, query: { app }, body, repeatable: true, deadlineMs });
  };
  return {
    async write(writes) {
      const refused = new Map<string, AppWritesReply["refused"][number]>();
      for (const body of toRequests(writes)) {
        const reply = (await ask("POST", "/v1/app/buffer", { body })) as AppWritesReply;
        for (const one of reply.refused) refused.set(one.target, one);
      }
      return [...refused.values()];
    },
    async depth(target) {
      const { owner, path } = toPlace(target);
      try {
        return (await ask("GET", path, { app: owner })) as DepthReply;
      } catch (error) {
        if (error instanceof NinesError && error.code === "not_found") return undefined;
        throw error;
      }
    },
    /** The platform tells its relays itself. */
    hint: async () => {},
    async handle(target) {
      await ask("PUT", `${toPlace(target).path}/handler`, { body: {} });
    },
  };
}

function toPlace(target: string): { readonly owner: string; readonly path: string } {
  const [owner = "", ...name] = target.split(".");
  return { owner, path: `/v1/app/buffer/${encodeURIComponent(name.join("."))}` };
}

/** As few requests as hold all of them, in their order. */
function* toRequests(writes: readonly NewWrite[]): Generator<AppWrites> {
  let list: AppWrite[] = [];
  let bytes = 0;
  for (const write of writes) {
    const one = toAppWrite(write);
    const size = JSON.stringify(one).length;
    if (list.length > 0 && bytes + size > requestBytesMax) {
      yield { writes: list };
      [list, bytes] = [[], 0];
    }
    list.push(one);
    bytes += size;
  }
  if (list.length > 0) yield { writes: list };
}

function toAppWrite({ target, key, idempotencyKey, headers, body }: NewWrite): AppWrite {
  return {
    target,
    ...(key === undefined ? {} : { key }),
    idempotencyKey,
    ...(headers === undefined ? {} : { headers }),
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("base64"),
  };
}
