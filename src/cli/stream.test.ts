import { expect, test } from "bun:test";
import { join } from "node:path";

const bytes = 5_000_000;
const script = `
  const { openStream } = await import(${JSON.stringify(join(import.meta.dir, "stream.ts"))});
  openStream(process.stdout).write(new Uint8Array(${bytes}).fill(65));
  process.exit(7);
`;

test("all that was written before an exit arrives, however slow the reader is", () => {
  const command = `"$BUN" -e "$SCRIPT" | { sleep 0.2; wc -c; }; echo "\${PIPESTATUS[0]}"`;
  const done = Bun.spawnSync(["bash", "-c", command], {
    env: { ...process.env, BUN: process.execPath, SCRIPT: script },
  });
  expect(done.stdout.toString()).toBe(`${bytes}\n7\n`);
});

test("a reader that has seen enough ends it without a word", () => {
  const command = `"$BUN" -e "$SCRIPT" | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`;
  const done = Bun.spawnSync(["bash", "-c", command], {
    env: { ...process.env, BUN: process.execPath, SCRIPT: script },
  });
  expect(done.stderr.toString()).toBe("");
  expect(done.stdout.toString()).toBe("0\n");
});
