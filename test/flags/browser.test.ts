/**
 * OpenFeature's client for the web and its OFREP provider, unmodified, in a headless Chromium: a page of another
 * origin evaluates flags of a running platform, and hears of changes by server-sent events. Debian's `chromium` is
 * what it needs; without it this is skipped, and says so.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Browser, chromium, type Page as Tab } from "playwright-core";
import { parseConfig } from "../../src/platform/config.ts";
import { toOffers } from "../../src/platform/offers.ts";
import { type Platform, startPlatform, until } from "../harness.ts";
import type { Page } from "./page.ts";

declare const page: Page;

const executablePath = Bun.which("chromium");
if (executablePath === null) console.log("chromium is not installed: flags in a browser are skipped");

const limitMs = 120_000;
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
];
let platform: Platform;
let browser: Browser;
let site: Bun.Server<undefined>;
let endpoint = "";
let key = "";

const flags = (...given: readonly string[]) => platform.must("flags", ...given);

async function openTab(): Promise<Tab> {
  const tab = await browser.newPage();
  await tab.goto(`http://localhost:${site.port}/`);
  await tab.waitForFunction(() => "page" in globalThis);
  return tab;
}

const evaluate = (tab: Tab, flag: string) => tab.evaluate((name) => page.boolean(name), flag);

beforeAll(async () => {
  if (executablePath === null) return;
  const built = await Bun.build({ entrypoints: [join(import.meta.dir, "page.ts")], target: "browser" });
  const script = (await built.outputs[0]?.text()) ?? "";
  // Another site than the API's, which is reached by its address.
  site = Bun.serve({
    port: 0,
    hostname: "localhost",
    fetch: ({ url }) =>
      new URL(url).pathname === "/page.js"
        ? new Response(script, { headers: { "content-type": "text/javascript" } })
        : new Response('<!doctype html><title>shop</title><script src="/page.js"></script>', {
            headers: { "content-type": "text/html" },
          }),
  });
  [platform, browser] = await Promise.all([
    startPlatform(),
    chromium.launch({ executablePath, args, timeout: 60_000 }),
  ]);
  await platform.must("apps:create", "shop");
  const offers = toOffers(parseConfig(platform.env), platform.home, "shop");
  endpoint = offers.OFREP_ENDPOINT ?? "";
  key = decodeURIComponent(offers.OFREP_HEADERS ?? "").replace("Authorization=Bearer ", "");
  const definition = '{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}';
  await flags("set", "banner", definition);
}, limitMs);

afterAll(async () => {
  await browser?.close();
  await site?.stop(true);
  await platform?.[Symbol.asyncDispose]();
}, limitMs);

test.skipIf(executablePath === null)(
  "a page of another site evaluates from one answer, and hears of each change at once",
  async () => {
    const tab = await openTab();
    await until("the provider is ready", limitMs, async () => {
      const status = await tab.evaluate(([url, secret]) => page.start(url!, secret!, "ann"), [endpoint, key]);
      return status === "READY";
    });
    await until("the flag is there", limitMs, async () => (await evaluate(tab, "banner")).variant === "off");
    for (const [what, value] of [
      ["on", true],
      ["off", false],
      ["on", true],
      ["kill", false],
    ] as const) {
      const heard = await tab.evaluate(() => page.heard.length);
      const changedAt = performance.now();
      await flags(what, "banner");
      await tab.waitForFunction((before) => page.heard.slice(before).includes("banner"), heard, {
        timeout: limitMs,
      });
      const tookMs = performance.now() - changedAt;
      console.log(`flags ${what}, from the command to the page: ${Math.round(tookMs)} ms`);
      // What it heard may be of the change before, told once more.
      await until(
        `the page has it ${what}`,
        limitMs,
        async () => (await evaluate(tab, "banner")).value === value,
      );
    }
    await tab.close();
  },
  2 * limitMs,
);

test.skipIf(executablePath === null)(
  "who is in a share is in it on the page too, and another user is another user",
  async () => {
    await flags("on", "banner");
    await flags("off", "banner");
    await flags("grow", "banner", "50%");
    const tab = await openTab();
    await tab.evaluate(([url, secret]) => page.start(url!, secret!, "user-0"), [endpoint, key]);
    const users = Array.from({ length: 8 }, (_, number) => `user-${number}`);
    const told: boolean[] = [];
    for (const user of users) {
      const { stdout } = await flags("explain", "banner", "--user", user, "--json");
      told.push((JSON.parse(stdout) as { value: boolean }).value);
    }
    expect(new Set(told).size).toBe(2);
    await until("the page says what the command line says", limitMs, async () => {
      const seen: boolean[] = [];
      for (const user of users) {
        await tab.evaluate((name) => page.become(name), user);
        seen.push((await evaluate(tab, "banner")).value);
      }
      return seen.join() === told.join();
    });
    await tab.close();
  },
  2 * limitMs,
);

test.skipIf(executablePath === null)(
  "a page without a good key gets nothing, and the rest of the API nothing at all",
  async () => {
    const tab = await openTab();
    const status = await tab.evaluate(
      ([url, secret]) => page.start(url!, secret!, "ann"),
      [endpoint, "shop.0"],
    );
    expect(status).not.toBe("READY");
    const other = await tab.evaluate(
      (url) =>
        fetch(`${url}/v1/apps`).then(
          () => "read",
          () => "refused",
        ),
      endpoint,
    );
    expect(other).toBe("refused");
    await tab.close();
  },
  limitMs,
);
