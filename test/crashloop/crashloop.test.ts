/**
 * An app that crashes for ever beside a healthy one: the healthy one does not notice, the platform restarts
 * nothing of its own, and the attempts are those of the policy. The long form watches for 10 minutes.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Load, startLoad } from "../../src/drill/load/load.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import { times } from "../length.ts";
import { send } from "../send.ts";

const watchMs = times(25_000, 600_000);
const limitMs = watchMs + 300_000;
const waitMs = 60_000;
let platform: Platform;
let load: Load;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
  await platform.must("scale", "web=2", "worker=0", "-a", "shop", "--wait");
  load = await startLoad({ port: platform.port, app: "shop", rate: 100 });
}, 300_000);

afterAll(async () => {
  await load?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
}, 300_000);

test(
  "a crash loop disturbs neither its neighbour nor the platform, and tries as often as the policy says",
  async () => {
    await load.take();
    await Bun.sleep(5_000);
    const before = await load.take();
    const parts = await platform.status();

    // Boots well once, so that the deploy succeeds; told to, it crashes at every start from then on.
    const flag = `${platform.folder}/broken`;
    const source = platform.app("looper", {
      Procfile: "web: node server.js\n",
      "server.js": `
      if (require("node:fs").existsSync(${JSON.stringify(flag)})) process.exit(3);
      require("node:http").createServer((request, response) => response.end("fine\\n")).listen(process.env.PORT);
    `,
    });
    await platform.must("deploy", source, "-a", "looper");
    await Bun.write(flag, "");
    const [first] = platform.running("looper");
    const brokenAt = Date.now();
    send(first?.pid, "SIGKILL");

    await Bun.sleep(watchMs);
    // Seen between two tries, and not in one.
    await until("it waits for its next try", waitMs, async () => {
      const [place] = platform.running("looper");
      return place?.state === "crashed" && place.nextTryAt > Date.now();
    });
    const spanMs = Date.now() - brokenAt;
    const starts = platform.log("apps/looper.log").match(/Starting process with command/g)?.length ?? 0;
    const during = await load.take();

    console.log(
      `crash loop: ${starts - 1} restarts in ${(spanMs / 1_000).toFixed(0)} s; the neighbour's p50 ${before.p50Ms.toFixed(1)} → ${during.p50Ms.toFixed(1)} ms, p99 ${before.p99Ms.toFixed(1)} → ${during.p99Ms.toFixed(1)} ms`,
    );
    const { least, most } = attempts(spanMs);
    expect(starts - 1).toBeGreaterThanOrEqual(least);
    expect(starts - 1).toBeLessThanOrEqual(most);

    expect(during.failures).toEqual([]);
    const now = await platform.status();
    expect(now.map((part) => [part.name, part.pid, part.restarts])).toEqual(
      parts.map((part) => [part.name, part.pid, part.restarts]),
    );
    await until("ps says so", waitMs, async () =>
      /crashed, next try in/.test((await platform.must("ps", "-a", "looper")).stdout),
    );
    // Refused at once, with the code for it, instead of waiting for what will not come.
    expect((await platform.fetch("looper")).status).toBe(503);
  },
  limitMs,
);

test(
  "a new release ends the cool-off at once",
  async () => {
    const source = platform.app("looper", {
      "server.js": `require("node:http").createServer((request, response) => response.end("mended\\n")).listen(process.env.PORT);\n`,
    });
    await platform.must("deploy", source, "-a", "looper");
    expect((await platform.fetch("looper")).body).toBe("mended\n");
  },
  limitMs,
);

/**
 * Restarts within a span, by the documented policy: at once, then after 2 s · 2^(n-2), at most 15 min, each
 * shortened by chance by up to a fifth. A start takes time, too: two seconds at most in all are granted.
 */
function attempts(spanMs: number): { least: number; most: number } {
  const count = (share: number, span: number) => {
    let restarts = 1;
    for (let at = 0, n = 2; ; n++) {
      at += Math.min(900_000, 2_000 * 2 ** (n - 2)) * share;
      if (at > span) return restarts;
      restarts++;
    }
  };
  return { least: count(1, spanMs - 2_000), most: count(0.8, spanMs) };
}
