/** Whom the embedded server runs as, and where that user can reach its files. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { NinesError } from "../std/errors.ts";

export interface Account {
  readonly uid: number;
  readonly gid: number;
  /** What `spawn` needs to become it; nothing when we are it already. */
  readonly drop?: { readonly uid: number; readonly gid: number };
}

const sharedPlace = "/var/lib/nines";

/** Ourselves, unless we are root: then the owner of the cluster, else `postgres`, else `nobody`. */
export function chooseAccount(
  wish: { readonly uid?: number; readonly gid?: number },
  dataDir: string,
  self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
): Account {
  if (self.uid !== 0) return self;
  const users = readUsers();
  const owner = ownerOf(dataDir) ?? ownerOf(join(toSharedPlace(dirname(dataDir)), "data"));
  const uid = wish.uid ?? owner ?? users.get("postgres")?.uid ?? users.get("nobody")?.uid;
  const known = [...users.values()].find((user) => user.uid === uid);
  if (uid === undefined || uid === 0 || known === undefined) {
    throw new NinesError("invalid", "PostgreSQL needs an unprivileged user, and there is none here", {
      blame: "platform",
      hint: "make one (useradd --system postgres), start Nines as an ordinary user, or set DATABASE_URL",
    });
  }
  const gid = wish.gid ?? known.gid;
  return { uid, gid, drop: { uid, gid } };
}

/** `dir` where the account can reach it, else a folder under /var/lib/nines that belongs to this `dir` alone. */
export function choosePlace(dir: string, account: Account): string {
  if (account.drop === undefined || canReach(dir, account)) return dir;
  const place = toSharedPlace(dir);
  mkdirSync(dirname(place), { recursive: true, mode: 0o711 });
  if (canReach(dirname(place), account)) return place;
  throw new NinesError(
    "forbidden",
    `uid ${account.uid}, who runs PostgreSQL, can reach neither ${dir} nor ${place}`,
    {
      blame: "platform",
      hint: "set NINES_HOME to a folder whose parents all have mode 0711 or 0755",
    },
  );
}

/** True when each folder on the way to `path` lets the account through. */
export function canReach(path: string, account: Account): boolean {
  for (let at = realpathSync(path); ; at = dirname(at)) {
    const { mode, uid, gid } = statSync(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === "/") return true;
  }
}

function toSharedPlace(dir: string): string {
  const real = existsSync(dir) ? realpathSync(dir) : dir;
  return join(sharedPlace, createHash("sha256").update(real).digest("hex").slice(0, 12));
}

function ownerOf(dataDir: string): number | undefined {
  const owner = statSync(dataDir, { throwIfNoEntry: false })?.uid;
  return owner === 0 ? undefined : owner;
}

function readUsers(): Map<string, { readonly uid: number; readonly gid: number }> {
  const users = new Map<string, { uid: number; gid: number }>();
  if (!existsSync("/etc/passwd")) return users;
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name && uid && gid) users.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  return users;
}
