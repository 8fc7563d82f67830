/** A drill of a platform that runs: its apps feel it, and afterwards nothing of the drill is left on it. */
import { expect, test } from "bun:test";
import { startPlatform } from "../harness.ts";
import { short } from "../length.ts";

test.skipIf(short)(
  "a platform that was drilled where it is has its own app, and nothing more",
  async () => {
    await using platform = await startPlatform({ guard: true });
    await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
    const only = "kill-instance,kill-broker,kill-kernel,flag,clock,disk";
    const ran = await platform.run(
      ["drill", "--here", "--yes", "--minutes", "1", "--seed", "3", "--only", only],
      {
        timeoutMs: 200_000,
      },
    );
    console.log(ran.stdout);
    expect(ran.stderr).toMatch(/left out: clock-router \(needs a platform of its own\)/);
    expect(ran.stdout).toMatch(/messages .* 0 lost/);
    expect((await platform.fetch("shop")).status).toBe(200);
    const names = (text: string) => (JSON.parse(text) as readonly { name: string }[]).map(({ name }) => name);
    expect(names((await platform.must("apps", "--json")).stdout)).toEqual(["shop"]);
    expect((await platform.must("flags", "--json")).stdout).not.toContain("drill");
    expect((await platform.must("buffer", "--json")).stdout).not.toContain("drill");
  },
  300_000,
);
