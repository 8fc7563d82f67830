/** `bun main.ts KIND ID`: one process of the platform. Each kind is loaded only by its own process. */
import type { PartKind } from "../wire/part.ts";
import { type Main, runPart } from "./part.ts";

const kinds: Partial<Record<PartKind, () => Promise<Main>>> = {
  heart: async () => (await import("./heart.ts")).heart,
  broker: async () => (await import("./broker.ts")).broker,
  controller: async () => (await import("./controller.ts")).controller,
  relay: async () => (await import("./relay.ts")).relay,
  router: async () => (await import("./router.ts")).router,
  agent: async () => (await import("./agent.ts")).agent,
};

const [kind = "", id = kind] = process.argv.slice(2);
const load = kinds[kind as PartKind];
if (load === undefined) {
  console.error(`nines: no such kind of part: "${kind}" (one of ${Object.keys(kinds).join(", ")})`);
  process.exit(64);
}
await runPart(kind as PartKind, id, await load());
