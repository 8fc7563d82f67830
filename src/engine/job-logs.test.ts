import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pruneJobLogs } from "./job-logs.ts";

const folder = mkdtempSync(join(tmpdir(), "nines-job-logs-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the newest logs are kept, the oldest go", () => {
  for (let i = 0; i < 6; i++) {
    writeFileSync(join(folder, `${i}.log`), "");
    utimesSync(join(folder, `${i}.log`), i * 10, ((i * 5) % 6) * 10);
  }
  pruneJobLogs(folder, 3);
  expect(readdirSync(folder).toSorted()).toEqual(["1.log", "2.log", "3.log"]);
  pruneJobLogs(join(folder, "missing"), 3);
});
