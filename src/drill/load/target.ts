/**
 * The service that the buffered writes are for: has each effect once by its inbox of idempotency keys, and is itself
 * well, down, or slow, as it is told.
 */
import { work } from "./hand.ts";
import { wallMs } from "./records.ts";

const slowMs = 150;

await work(async ({ journal, signal, ready, onOrder }) => {
  const inbox = new Set<string>();
  let mood = "well";
  onOrder((line) => {
    mood = line;
  });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const at = wallMs();
      const { key, n, id } = (await request.json()) as { key: string; n: number; id: string };
      if (mood === "down") return new Response("down\n", { status: 503 });
      if (mood === "slow") await Bun.sleep(slowMs);
      const known = request.headers.get("idempotency-key") ?? "";
      const token = Number(request.headers.get("nines-fencing-token"));
      journal.add({ key, n, id, token, at, first: !inbox.has(known) });
      inbox.add(known);
      return new Response("done\n");
    },
  });
  ready(String(server.port));
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await server.stop(true);
});
