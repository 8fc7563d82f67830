/**
 * Whom an app's processes run as. Root gives each app a user and group number of its own, made from the app's
 * number, with no name and no rights; who is not root runs them as itself, and then nothing keeps an app
 * from this user's files.
 */
import { chmodSync, chownSync } from "node:fs";

/** Users of apps are this plus the app's number: above those of people, below those of container ranges. */
export const ownerBase = 70_000;

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Undefined where this process may not change users. */
export function toOwner(appNumber: number, root: boolean): Owner | undefined {
  return root ? { uid: ownerBase + appNumber, gid: ownerBase + appNumber } : undefined;
}

/** Hands a folder or file over, closed to everybody else. */
export function give(path: string, owner: Owner | undefined, mode: number): void {
  chmodSync(path, mode);
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
}
