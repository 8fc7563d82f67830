// Counts what is sold. Orders come from the bus, at least once; the count of many goes to the registry at once, and
// only then are they done.
import { connect } from "nines-sdk";

const nines = await connect({ log: (line) => console.error(line) });
const flushMs = 250;
let batch = begin();

function begin() {
  let settle;
  const flushed = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  flushed.catch(() => {});
  return { counts: new Map(), flushed, settle };
}

nines.subscribe(
  "orders",
  "worker",
  async ({ item = "unknown" }) => {
    const mine = batch;
    mine.counts.set(item, (mine.counts.get(item) ?? 0) + 1);
    await mine.flushed;
  },
  { credit: 1_000 },
);

async function flush() {
  const full = batch;
  batch = begin();
  try {
    for (const [item, count] of full.counts) {
      await nines.registry.update(`sold/${item}`, (sold = 0) => sold + count);
    }
    full.settle.resolve();
  } catch (error) {
    // They come again.
    console.error(`not counted: ${error.message}`);
    full.settle.reject(error);
  }
}

let ending = false;
process.on("SIGTERM", () => {
  ending = true;
});
console.log(`the worker counts (${nines.mode})`);
while (!ending) {
  await new Promise((resolve) => setTimeout(resolve, flushMs));
  await flush();
}
await nines.close();
process.exit(0);
