/** Ours, for the benches of the write buffer. */
import { type Sender, startBuffer, startRelay } from "../src/buffer/buffer.ts";
import { systemClock } from "../src/std/clock.ts";
import { createLog } from "../src/std/log.ts";
import { openStore } from "../src/store/store.ts";

const log = createLog({}, () => {});

/** A writer and a relay with connections of their own, as in two processes. */
export async function startOurs(url: string, targets: readonly string[], senderOf: () => Sender) {
  const stack = new AsyncDisposableStack();
  const open = () => stack.use(openStore({ url, clock: systemClock, log, random: Math.random }));
  const [writer, reader] = [open(), open()];
  await Promise.all([writer.ready(), reader.ready()]);
  for (const target of targets) {
    await writer.registry.set(
      `/targets/${target}`,
      { url: "http://127.0.0.1:9/", concurrencyMax: 64 },
      { by: "bench" },
    );
  }
  const common = { clock: systemClock, log, random: Math.random };
  const buffer = stack.use(await startBuffer({ store: writer.writes, ...common }));
  const relay = stack.use(
    startRelay({
      store: reader.relays,
      send: senderOf(),
      holder: `relay.1/${crypto.randomUUID()}`,
      ...common,
    }),
  );
  while (relay.targets.length < targets.length) await Bun.sleep(5);
  return { buffer, store: writer, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
