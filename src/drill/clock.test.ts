import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareClocks } from "./clock.ts";

test("a part's wall clock is stepped, and no other one's, and time itself goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nines-clock-"));
  try {
    const home = join(folder, "home");
    const clocks = prepareClocks(home, folder);
    clocks.step("router.1", 3_600_000);
    const script = join(folder, "part.ts");
    writeFileSync(
      script,
      "const at = Date.now(); await new Promise((r) => setTimeout(r, 10)); console.log(at, +new Date(), new Date(5).getTime(), new Date() instanceof Date, performance.now() < 60_000);",
    );
    const ask = async (part: string) => {
      const child = Bun.spawn([process.execPath, "--no-install", "--smol", script], {
        ...{ cwd: home, env: { NINES_PART: part }, stdout: "pipe" as const },
      });
      return (await new Response(child.stdout).text()).trim().split(" ");
    };
    const [ahead = [], right = []] = await Promise.all(["router.1", "router.2"].map(ask));
    const off = ([at]: readonly string[]) => Math.round((Number(at) - Date.now()) / 60_000) + 0;
    expect([off(ahead), off(right)]).toEqual([60, 0]);
    expect(Number(ahead[1])).toBeGreaterThan(Number(ahead[0]));
    expect(ahead.slice(2)).toEqual(["5", "true", "true"]);
    clocks.step("router.1", 0);
    expect(off(await ask("router.1"))).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
