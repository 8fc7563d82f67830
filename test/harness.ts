/**
 * A whole platform for one test: that of the drill, with apps to deploy and requests said by hand.
 *
 *   await using platform = await startPlatform();
 *   await platform.must("deploy", platform.fixture("shop"), "-a", "shop");
 *
 * NINES_TEST_KEEP=1 keeps the folder, for its logs.
 */
import { join } from "node:path";
import * as drill from "../src/drill/platform.ts";
import { type Reply, type RequestOptions, request } from "../src/drill/request.ts";
import { copyFixture, writeApp } from "./apps.ts";

export type { PlatformOptions, Ran, RunOptions } from "../src/drill/platform.ts";
export { until } from "../src/std/until.ts";

export interface Platform extends drill.Platform {
  fetch(app: string, options?: Partial<RequestOptions>): Promise<Reply>;
  /** A copy of fixtures/NAME to deploy from and to change. */
  fixture(name: string, as?: string): string;
  /** An app written on the spot. */
  app(name: string, files: Readonly<Record<string, string>>): string;
}

/** Starts a platform that shares nothing with any other on the machine. */
export async function startPlatform(options: drill.PlatformOptions = {}): Promise<Platform> {
  const platform = await drill.startPlatform({ keep: Boolean(process.env.NINES_TEST_KEEP), ...options });
  const { folder, port } = platform;
  return {
    ...platform,
    fetch: (app, given = {}) => request({ port, host: `${app}.localhost`, ...given }),
    fixture: (name, as = name) => copyFixture(name, join(folder, as)),
    app: (name, files) => writeApp(join(folder, name), files),
  };
}
