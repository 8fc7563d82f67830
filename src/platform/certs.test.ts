import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificate } from "../mesh/mesh.ts";
import type { Log } from "../std/log.ts";
import { watchCertificates } from "./certs.ts";

const silent: Log = { info() {}, warn() {}, error() {} } as unknown as Log;

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error("did not happen");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("certificates are read in pairs, by host, and again when a file changes, comes or goes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nines-certs-"));
  let known: ReadonlyMap<string, Certificate> = new Map();
  let count = 0;
  using _watching = watchCertificates(join(folder, "certs"), silent, (certificates) => {
    known = certificates;
    count++;
  });
  expect(count).toBe(0);
  Bun.spawnSync(["mkdir", join(folder, "certs")]);
  const put = (file: string, text: string) => writeFileSync(join(folder, "certs", file), text);
  put("a.example.key", "key");
  put("a.example.crt", "one");
  put("_.b.example.key", "key");
  put("_.b.example.crt", "star");
  put("half.example.crt", "alone");
  await until(() => known.size === 2);
  expect(known.get("a.example")).toEqual({ cert: "one", key: "key" });
  expect([...known.keys()].sort()).toEqual(["*.b.example", "a.example"]);
  put("a.example.crt", "another");
  await until(() => known.get("a.example")?.cert === "another");
  rmSync(join(folder, "certs", "a.example.key"));
  await until(() => known.size === 1);
  rmSync(folder, { recursive: true });
});
