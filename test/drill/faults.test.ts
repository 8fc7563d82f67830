/**
 * The drill finds what is wrong: a minute with each planted fault ends with a verdict that names the promise that it
 * breaks. NINES_TEST=short leaves them out; a fault whose source has changed is named, and wants a new edit.
 */
import { afterAll, expect, test } from "bun:test";
import type { Report } from "../../src/drill/drill.ts";
import { short } from "../length.ts";
import { type Fault, faults, plant, powerCut } from "./faults.ts";

const limitMs = 300_000;
const seed = 7;
const lines: string[] = [];
afterAll(() => console.log(lines.join("\n")));

for (const fault of faults) {
  test.skipIf(short)(
    `${fault.name} is found: ${fault.breaks.join(" or ")}`,
    async () => {
      const { broken, code } = await run(fault);
      expect(code).toBe(1);
      expect(broken.filter((name) => fault.breaks.includes(name))).not.toEqual([]);
    },
    limitMs,
  );
}

test.skipIf(short)(
  `${powerCut.name} loses no message that was acked at the level disk`,
  async () => {
    const { broken } = await run(powerCut);
    expect(broken).not.toContain("messages lost");
  },
  limitMs,
);

/** A minute of drill with the fault in it. */
async function run(fault: Fault): Promise<{ readonly code: number; readonly broken: readonly string[] }> {
  using build = plant(fault);
  const command = [build.binary, "drill", "--minutes", "1", "--seed", String(seed), "--only", fault.only];
  const child = Bun.spawn([...command, "--json"], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (stdout === "") throw new Error(`no report: exit ${code}\n${stderr}`);
  const { verdict } = JSON.parse(stdout) as Report;
  lines.push(`${fault.name}: ${verdict.line}`);
  return {
    code,
    broken: verdict.claims.filter((claim) => claim.broken.length > 0).map((claim) => claim.name),
  };
}
