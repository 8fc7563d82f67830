import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHome } from "../wire/home.ts";
import { findings } from "./findings.ts";

const root = mkdtempSync(join(tmpdir(), "nines-doctor-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const wanted = {
  host: "127.0.0.1",
  port: 0,
  apiPort: 0,
  databaseUrl: undefined,
  instancePorts: { from: 20_000, to: 29_999 },
};
const find = async (what: string, given: Partial<typeof wanted> = {}, folder = root) =>
  (await findings({ ...wanted, ...given }, toHome(folder))).find((finding) => finding.what.startsWith(what));

test("whatever is not as it should be comes with something to do", async () => {
  for (const finding of await findings(wanted, toHome(root))) {
    if (finding.level !== "ok") expect(finding.advice).toBeString();
  }
});

test("a port that another program uses is a problem that names the variable", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const found = await find(`port ${port}`, { port });
  await new Promise((resolve) => server.close(resolve));
  expect(found).toMatchObject({ level: "problem", found: "used by another program" });
  expect(found?.advice).toContain("NINES_PORT");
});

test("a secret that others can read is a problem", async () => {
  const home = toHome(join(root, "open"));
  mkdirSync(home.root);
  writeFileSync(home.token, "x");
  chmodSync(home.token, 0o600);
  expect((await find("home", {}, home.root))?.level).toBe("ok");
  chmodSync(home.token, 0o644);
  expect(await find("home", {}, home.root)).toMatchObject({
    level: "problem",
    found: `other users can read ${home.token}`,
  });
});

test("a home that is not there yet can be made, also below folders that are missing", async () => {
  expect(await find("home", {}, join(root, "a/b"))).toMatchObject({ level: "ok" });
});

test("ports of instances within the kernel's own range are advised against", async () => {
  const found = await find("ports of instances", { instancePorts: { from: 40_000, to: 50_000 } });
  expect(found?.level).toBe("advice");
});
