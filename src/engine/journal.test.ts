import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../std/fake-clock.ts";
import { Journals, journalBytesMax } from "./journal.ts";

const root = mkdtempSync(join(tmpdir(), "nines-journal-"));
afterAll(() => rmSync(root, { recursive: true }));

test("a journal is bounded: it turns over, and the file before the last goes", () => {
  const folder = mkdtempSync(join(root, "apps-"));
  using journals = new Journals(new FakeClock(), (app) => join(folder, `${app}.log`));
  const lines = Array.from({ length: 100 }, () => "z".repeat(10_000));
  for (let i = 0; i < 25; i++) journals.app("shop", "web.1", lines);
  expect(statSync(join(folder, "shop.log")).size).toBeLessThan(journalBytesMax);
  expect(statSync(join(folder, "shop.log.1")).size).toBeLessThan(journalBytesMax * 1.2);
});

test("a journal's lines have the shape that people grep", () => {
  const folder = mkdtempSync(join(root, "apps-"));
  using journals = new Journals(new FakeClock(), (app) => join(folder, `${app}.log`));
  journals.app("shop", "web.1", ["one", "two"]);
  journals.nines("shop", "web.1", "State changed from starting to up");
  expect(readFileSync(join(folder, "shop.log"), "utf8").split("\n")).toEqual([
    "2030-01-01T00:00:00.000000+00:00 app[web.1]: one",
    "2030-01-01T00:00:00.000001+00:00 app[web.1]: two",
    "2030-01-01T00:00:00.000000+00:00 nines[web.1]: State changed from starting to up",
    "",
  ]);
});
