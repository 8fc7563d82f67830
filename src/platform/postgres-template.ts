/**
 * A cluster that was made when Nines was installed, for the first start to copy: making one takes longer than all
 * else of that start. It holds nothing, and nobody knows its password; each copy gets one of its own. Copies share
 * the system identifier that replication would compare. Where there is none, initdb does it.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Binaries, findBinaries, installBinaries } from "./postgres-binaries.ts";
import { type Cluster, flushLater, initialize, setPassword } from "./postgres-cluster.ts";
import { type Account, chooseAccount } from "./postgres-user.ts";

/** Goes with the modules whose server made it: another version's is never found. */
function templateOf({ source, version }: Binaries): string {
  const modules = source.slice(0, source.lastIndexOf("node_modules") + "node_modules".length);
  return join(modules, ".cache", "nines", `cluster-${version}`);
}

/** Makes it, where it is missing. */
export async function makeTemplate(): Promise<void> {
  const binaries = findBinaries();
  const template = templateOf(binaries);
  if (existsSync(template)) return;
  const folder = mkdtempSync(join(tmpdir(), "nines-cluster-"));
  const fresh = `${template}.${process.pid}.tmp`;
  try {
    chmodSync(folder, 0o755);
    const account = chooseAccount({}, join(folder, "data"));
    const root = installBinaries(binaries, folder, account);
    const dataDir = join(folder, "data");
    await initialize({ root, dataDir, password: randomBytes(24).toString("base64url"), account });
    mkdirSync(dirname(template), { recursive: true });
    await copy(dataDir, fresh);
    renameSync(fresh, template);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Makes the cluster of it, in one rename; false, and nothing there, when there is none or it is of no use. */
export async function useTemplate(cluster: Cluster): Promise<boolean> {
  const { dataDir, account } = cluster;
  const temporary = `${dataDir}.${process.pid}.tmp`;
  try {
    if (!(await copyTemplate(temporary, account))) return false;
    // All of it is flushed later, as what initdb makes is.
    await setPassword({ ...cluster, dataDir: temporary }, ["-c", "fsync=off"]);
    renameSync(temporary, dataDir);
    flushLater(cluster);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Copies it to `target`, for the account; false when there is none. */
export async function copyTemplate(target: string, account: Account): Promise<boolean> {
  const template = templateOf(findBinaries());
  if (!existsSync(join(template, "PG_VERSION"))) return false;
  await copy(template, target);
  if (account.drop !== undefined) own(target, account);
  return true;
}

/** By a process of its own: forty megabytes are long for an event loop. */
async function copy(from: string, to: string): Promise<void> {
  const child = spawn("cp", ["-R", "--reflink=auto", from, to], { stdio: "ignore" });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`cp ended with ${code}`);
  chmodSync(to, 0o700);
}

function own(path: string, { uid, gid }: Account): void {
  lchownSync(path, uid, gid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) own(join(path, entry.name), { uid, gid });
    else lchownSync(join(path, entry.name), uid, gid);
  }
}
