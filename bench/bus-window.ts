/** What both peers of bench/bus.ts send, and how: as fast as it goes, or at a steady rate. */

/** With id and sender, about 200 bytes. */
export const benchBody = { kind: "order", order: "4711", item: "x".repeat(80) };

const windowMessages = 1_000;

/** As many unanswered at once as the window is wide. */
export async function runWindow(count: number, publish: () => Promise<unknown>): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) await publish();
  };
  await Promise.all(Array.from({ length: windowMessages }, lane));
}

/** At a steady rate, whatever becomes of earlier ones; how long each took, from when it was due, sorted. */
export async function runPaced(
  count: number,
  perSecond: number,
  publish: () => Promise<unknown>,
): Promise<readonly number[]> {
  const tookMs: number[] = [];
  const open = new Set<Promise<void>>();
  const startedAt = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - startedAt) / 1_000) * perSecond));
    for (; sent < due; sent++) {
      const dueAt = startedAt + (sent / perSecond) * 1_000;
      const one = publish().then(() => void tookMs.push(performance.now() - dueAt));
      open.add(one);
      void one.finally(() => open.delete(one));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(open);
  return tookMs.sort((a, b) => a - b);
}

/** What a publisher's process does, and prints. */
export async function publishAll(publish: () => Promise<unknown>): Promise<void> {
  const { COUNT, RATE } = process.env;
  const count = Number(COUNT);
  if (RATE === undefined) {
    await runWindow(count, publish);
    return console.log("done");
  }
  const tookMs = await runPaced(count, Number(RATE), publish);
  const at = (share: number) => tookMs[Math.min(count - 1, Math.floor(count * share))] as number;
  console.log(JSON.stringify({ p50Ms: at(0.5), p99Ms: at(0.99) }));
}
