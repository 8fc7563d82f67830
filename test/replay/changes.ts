/** What went wrong in February 2012, as changes of an agent. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Build, Change } from "./build.ts";

/** What a boot has become longer by, and how much of that is work for the disk. */
export const slowerMs = 2_000;
export const syncs = { count: 6, ms: 60 } as const;
/** Launches within a second that make the other fault show. */
export const unusualLaunches = 4;

const step = `
const { connect } = require("node:net");
const startedAt = performance.now();
const socket = connect(process.argv[2]);
let left = ${syncs.count};
const next = () => (left-- > 0 ? socket.write("sync ${syncs.ms}\\n") : finish());
const finish = () => setTimeout(() => process.exit(0), ${slowerMs} - (performance.now() - startedAt));
socket.on("connect", next).on("data", next).on("error", () => process.exit(1));
`;

/** Friday: a step of the container's build that syncs, several times. Boots are two seconds slower; nothing fails. */
export function slowBoots(build: Build, disk: string): Change {
  const path = join(build.folder, "container-step.cjs");
  writeFileSync(path, step, { mode: 0o644 });
  return {
    file: "src/engine/run.ts",
    find: "argv: toShell(place.command),",
    replace: `argv: toShell(\`${process.execPath} ${path} ${disk}; exec \${place.command}\`),`,
  };
}

/** Tuesday: an instance is started twice, and one of them forgotten. Only visible when many are started at once. */
export const phantoms: Change = {
  file: "src/engine/run.ts",
  find: "      const process = spawnProcess({",
  replace: `      const launch = (order: Parameters<typeof spawnProcess>[0]) => {
        const recent: number[] = ((globalThis as any).recentLaunches ??= []);
        const now = tools.clock.now();
        recent.push(now);
        while (now - recent[0]! > 1_000) recent.shift();
        if (recent.length > ${unusualLaunches}) {
          spawnProcess({ ...order, env: { ...order.env, NINES_INSTANCE_ID: crypto.randomUUID(), PORT: "0" } });
        }
        return spawnProcess(order);
      };
      const process = launch({`,
};
