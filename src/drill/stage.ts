/** Where a drill takes place: a platform that it starts for itself, or one that runs already. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Home } from "../wire/home.ts";
import { type Clocks, prepareClocks } from "./clock.ts";
import type { Kind } from "./kinds.ts";
import { sortKinds } from "./needs.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { useRunning } from "./running.ts";

export interface Stage {
  readonly platform: Platform;
  readonly possible: readonly Kind[];
  readonly leftOut: readonly string[];
  readonly clocks: Clocks | undefined;
  /** Where the platform puts its temporary files, and nobody else. */
  readonly temporary: string | undefined;
  /** Ends what belongs to the drill; gives what was left behind, a line each. */
  end(): Promise<readonly string[]>;
}

/** Room for a database, some builds, and the log of the database at its bound. */
const homeBytes = 640 * 1_048_576;

/** Without a home it starts a platform of its own. */
export async function setStage(kinds: readonly Kind[], home?: Home): Promise<Stage> {
  if (home !== undefined) {
    const platform = await useRunning(home);
    const sorted = sortKinds(kinds, { isFresh: false, isGuarded: platform.isGuarded });
    return { platform, ...sorted, clocks: undefined, temporary: undefined, end: () => endOf(platform) };
  }
  const sorted = sortKinds(kinds, { isFresh: true, isGuarded: true });
  const isNeeded = (need: Kind["needs"]) => sorted.possible.some((kind) => kind.needs === need);
  // What the platform leaves of temporary files can be told from those of others.
  const temporary = mkdtempSync(join(tmpdir(), "nines-drill-tmp-"));
  chmodSync(temporary, 0o1777);
  const clear = () => rmSync(temporary, { recursive: true, force: true });
  let clocks: Clocks | undefined;
  try {
    const platform = await startPlatform({
      guard: true,
      prefix: "nines-drill-",
      env: { TMPDIR: temporary },
      ...(isNeeded("disk") ? { homeDisk: { bytes: homeBytes, on: "file" as const } } : {}),
      prepare(root, folder) {
        if (isNeeded("clocks")) clocks = prepareClocks(root, folder);
      },
    });
    const end = async () => {
      const left = await endOf(platform);
      clear();
      return left;
    };
    return { platform, ...sorted, clocks, temporary, end };
  } catch (error) {
    clear();
    throw error;
  }
}

async function endOf(platform: Platform): Promise<readonly string[]> {
  try {
    await platform[Symbol.asyncDispose]();
    return [];
  } catch (error) {
    return (error as Error).message.split("\n");
  }
}
