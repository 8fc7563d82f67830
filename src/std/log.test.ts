import { expect, test } from "bun:test";
import { openSync } from "node:fs";

test("a log that finds no room on the disk loses its lines, and the process lives on", async () => {
  const code = `
    const { createLog } = await import(${JSON.stringify(`${import.meta.dir}/log.ts`)});
    process.on("uncaughtException", () => process.exit(1));
    const log = createLog({ part: "router.1" });
    for (let n = 0; n < 20; n++) { log.warn("table_not_saved", { n }); await Bun.sleep(1); }
    process.exit(7);`;
  const child = Bun.spawn([process.execPath, "-e", code], { stderr: openSync("/dev/full", "w") });
  expect(await child.exited).toBe(7);
});
