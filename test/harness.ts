/**
 * A whole platform for one test: that of the drill, with apps to deploy and requests said by hand.
 *
 *   await using platform = await startPlatform();
 *   await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
 *
 * NINES_TEST_KEEP=1 keeps the folder, for its logs.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as drill from "../src/drill/platform.ts";
import { type Reply, type RequestOptions, request } from "../src/drill/request.ts";
import { until } from "../src/std/until.ts";
import type { Instance } from "../src/wire/messages.ts";
import { copyFixture, writeApp } from "./apps.ts";

export type { PlatformOptions, Ran, RunOptions } from "../src/drill/platform.ts";
export { until } from "../src/std/until.ts";

export interface Platform extends drill.Platform {
  fetch(app: string, options?: Partial<RequestOptions>): Promise<Reply>;
  /**
   * Asks the API until so many answers in a row are as wanted: each of the controllers, which share its port and learn of a
   * change by themselves, has given some of them. With the admin's token, unless another is given.
   */
  everywhere(what: string, path: string, holds: Holds, token?: string): Promise<void>;
  /** What runs of an app, as the agent itself has written it down: no controller can know of anything newer. */
  running(app: string): readonly Instance[];
  /** A copy of fixtures/NAME to deploy from and to change. */
  fixture(name: string, as?: string): string;
  /** An app written on the spot. */
  app(name: string, files: Readonly<Record<string, string>>): string;
}

type Holds = (reply: Response) => boolean | Promise<boolean>;

/** How a command ends that has changed nothing, for a reason that passes: a controller that is behind for a second. */
const passing = /try again in a moment/;
const passingMs = 60_000;
const everywhereMs = 60_000;
/** With two controllers one of them is asked by none of so many in one of half a million cases. */
const inARow = 20;

/** Starts a platform that shares nothing with any other on the machine. */
export async function startPlatform(options: drill.PlatformOptions = {}): Promise<Platform> {
  const platform = await drill.startPlatform({ keep: Boolean(process.env.NINES_TEST_KEEP), ...options });
  const { folder, port } = platform;
  return {
    ...platform,
    fetch: (app, given = {}) => request({ port, host: `${app}.localhost`, ...given }),
    async must(...args) {
      const until = performance.now() + passingMs;
      for (;;) {
        const ran = await platform.nines(...args);
        if (ran.code === 0) return ran;
        if (!passing.test(ran.stderr) || performance.now() > until)
          throw new Error(`nines ${args.join(" ")}: exit ${ran.code}\n${ran.stdout}${ran.stderr}`);
        await Bun.sleep(200);
      }
    },
    async everywhere(what, path, holds, token = readFileSync(platform.home.token, "utf8").trim()) {
      let count = 0;
      await until(
        what,
        everywhereMs,
        async () => {
          const reply = await fetch(`http://127.0.0.1:${platform.apiPort}${path}`, {
            headers: { Authorization: `Bearer ${token}` },
            // On a connection of its own, which any of them may get.
            keepalive: false,
          });
          count = (await holds(reply)) ? count + 1 : 0;
          return count >= inARow;
        },
        5,
      );
    },
    running(app) {
      const { instances } = JSON.parse(readFileSync(platform.home.agentTable, "utf8")) as {
        instances: readonly Instance[];
      };
      return instances.filter((one) => one.app === app && one.state !== "down");
    },
    fixture: (name, as = name) => copyFixture(name, join(folder, as)),
    app: (name, files) => writeApp(join(folder, name), files),
  };
}
