/** Makes the embedded server's cluster, once, and mends its password. */
import { spawn } from "node:child_process";
import { chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NinesError } from "../std/errors.ts";
import type { Account } from "./postgres-user.ts";

export interface Cluster {
  /** Folder with `bin` in it. */
  readonly root: string;
  readonly dataDir: string;
  readonly password: string;
  readonly account: Account;
}

const outputCharsMax = 8_000;

/** Runs initdb into a temporary folder and renames it: a crash leaves no half cluster under the real name. */
export async function initialize(cluster: Cluster): Promise<void> {
  const temporary = `${cluster.dataDir}.${process.pid}.tmp`;
  const made = join(temporary, "data");
  const passwordFile = join(temporary, "password");
  mkdirSync(temporary, { mode: 0o700 });
  try {
    writeFileSync(passwordFile, `${cluster.password}\n`, { mode: 0o600 });
    if (cluster.account.drop !== undefined) {
      for (const path of [temporary, passwordFile]) {
        chownSync(path, cluster.account.uid, cluster.account.gid);
      }
    }
    const args = ["-D", made, "-U", "nines", "-E", "UTF8", "--locale=C", "-A", "scram-sha-256"];
    args.push("--data-checksums", "--no-sync", `--pwfile=${passwordFile}`);
    await run(cluster, "initdb", args, temporary, "");
    renameSync(made, cluster.dataDir);
    flushLater(cluster);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/**
 * Flushes the new cluster to the disk while the server already starts on it: waiting would cost the first start
 * half a second or more, to protect a cluster that holds nothing yet. The server flushes what it writes itself.
 */
export function flushLater({ root, dataDir, account }: Cluster): void {
  const args = ["--sync-only", "-D", dataDir];
  const child = spawn(join(root, "bin", "initdb"), args, {
    cwd: "/",
    env: {},
    stdio: "ignore",
    ...account.drop,
  });
  child.on("error", () => {});
  child.unref();
}

/** Gives the user `nines` a new password while no server runs; for a password file that was lost. */
export async function setPassword(cluster: Cluster, more: readonly string[] = []): Promise<void> {
  const statement = `alter role nines password '${cluster.password}'\n`;
  const args = ["--single", "-D", cluster.dataDir, "-c", "logging_collector=off", ...more, "postgres"];
  await run(cluster, "postgres", args, cluster.dataDir, statement);
}

async function run(cluster: Cluster, name: string, args: readonly string[], cwd: string, input: string) {
  const child = spawn(join(cluster.root, "bin", name), args, {
    cwd,
    env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
    stdio: ["pipe", "pipe", "pipe"],
    ...cluster.account.drop,
  });
  let output = "";
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-outputCharsMax);
  };
  child.stdout.on("data", collect);
  child.stderr.on("data", collect);
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code === 0) return;
  throw new NinesError("unavailable", `${name} failed with ${code}: ${output.trim()}`, {
    blame: "platform",
    hint: "is the disk full, or mounted read-only?",
  });
}
