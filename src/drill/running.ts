/** A platform that runs already, lent to a drill: afterwards it has nothing of the drill any more, and runs on. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identify, readStat } from "../os/proc.ts";
import { NinesError } from "../std/errors.ts";
import { readJson } from "../std/file.ts";
import type { Home } from "../wire/home.ts";
import { app } from "./ground.ts";
import { clean, openPlatform, ownBinary, type Platform } from "./platform.ts";

export interface Running extends Platform {
  /** Somebody starts kernel and heart again when both are gone. */
  readonly isGuarded: boolean;
}

/** Throws `unavailable` when none runs in the home, `conflict` when the drill's app is on it. */
export async function useRunning(home: Home): Promise<Running> {
  const stored = readJson(home.ports);
  const ports = stored.kind === "value" ? (stored.value as Record<string, number>) : {};
  if (ports.router === undefined || ports.api === undefined) {
    throw new NinesError("unavailable", `no platform runs in ${home.root}`, { hint: "nines up" });
  }
  const folder = mkdtempSync(join(tmpdir(), "nines-drill-"));
  chmodSync(folder, 0o711);
  const env = { ...clean(process.env), NINES_HOME: home.root };
  const place = { binary: ownBinary, env, folder, home, port: ports.router, apiPort: ports.api };
  const platform = openPlatform(place, async () => {
    const undone = await Promise.all([
      platform.run(["apps:destroy", app, "--confirm", app], {}),
      platform.run(["flags:remove", app, "--force"], {}),
      platform.run(["buffer:remove", `${app}.payments`], {}),
    ]);
    rmSync(folder, { recursive: true, force: true });
    const left = undone.filter(({ code }) => code !== 0).map(({ stderr }) => stderr.trim());
    if (left.length > 0) throw new Error(left.join("\n"));
  });
  const kernel = (await platform.parts().catch(() => [])).find((part) => part.kind === "kernel");
  if (kernel === undefined) {
    rmSync(folder, { recursive: true, force: true });
    throw new NinesError("unavailable", `no platform runs in ${home.root}`, { hint: "nines up" });
  }
  const above = readStat(kernel.pid ?? 0)?.ppid ?? 1;
  return { ...platform, isGuarded: above > 1 && identify(above) !== undefined };
}
