import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHome } from "../wire/home.ts";
import { parseConfig } from "./config.ts";
import { prepareHome } from "./home.ts";

const made: string[] = [];
afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});
const config = (home: string) => parseConfig({ NINES_HOME: home, NINES_PORT: "0", NINES_API_PORT: "0" });
function temporary(): string {
  made.push(mkdtempSync(join(tmpdir(), "nines-home-")));
  return join(made.at(-1) ?? "", "home");
}

test("the admin token is made once, shown once, and for its owner's eyes only", async () => {
  const root = temporary();
  const { newToken } = await prepareHome(config(root));
  const { token } = toHome(root);
  expect(newToken).toBe(readFileSync(token, "utf8").trim());
  expect(statSync(token).mode & 0o777).toBe(0o600);
  expect((await prepareHome(config(root))).newToken).toBeUndefined();
});

test("ports that were picked stay the same", async () => {
  const root = temporary();
  await prepareHome(config(root));
  const first = readFileSync(toHome(root).ports, "utf8");
  await prepareHome(config(root));
  expect(readFileSync(toHome(root).ports, "utf8")).toBe(first);
});

test("a ports file that a crash left empty is made anew", async () => {
  const root = temporary();
  await prepareHome(config(root));
  writeFileSync(toHome(root).ports, "");
  await prepareHome(config(root));
  expect(JSON.parse(readFileSync(toHome(root).ports, "utf8")).router).toBeGreaterThan(0);
});

test("a home of a newer version is refused, and left as it is", async () => {
  const root = temporary();
  await prepareHome(config(root));
  writeFileSync(toHome(root).version, "99\n");
  await expect(prepareHome(config(root))).rejects.toThrow(/reads up to 1/);
  expect(readFileSync(toHome(root).version, "utf8")).toBe("99\n");
});

test("a file in the way of the home folder is named", async () => {
  const root = temporary();
  writeFileSync(root, "");
  await expect(prepareHome(config(root))).rejects.toThrow(`the home folder ${root} cannot be used`);
});

test("an empty token file, left by a crash, is replaced", async () => {
  const root = temporary();
  await prepareHome(config(root));
  writeFileSync(toHome(root).token, "");
  expect((await prepareHome(config(root))).newToken).toHaveLength(32);
});
