/**
 * The builds on this machine: what an upload became, read-only for its app and closed to all others.
 *
 * A build is made in its final place, as some tools (Python's venv) write that path into their files; it
 * counts only once it is sealed, which a small file beside says. What is not sealed is removed.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeJson } from "../std/file.ts";
import { execute } from "./execute.ts";
import { toFileName } from "./file-name.ts";
import { give, type Owner } from "./owner.ts";

/** A build younger than this is never pruned: its record may be on its way. */
const youngMs = 10 * 60_000;

export class Builds {
  readonly #root: string;
  readonly #seals: string;

  /** `root` is where the builds are, `seals` where it is remembered which are whole. */
  constructor(root: string, seals: string) {
    this.#root = root;
    this.#seals = seals;
    mkdirSync(seals, { recursive: true, mode: 0o700 });
  }

  path(build: string): string {
    return join(this.#root, toFileName(build));
  }

  has(build: string): boolean {
    return existsSync(this.#seal(build)) && existsSync(this.path(build));
  }

  /** An empty folder for it, belonging to its owner. */
  async begin(build: string, owner: Owner | undefined): Promise<string> {
    await this.remove(build);
    mkdirSync(this.path(build), { mode: 0o700 });
    give(this.path(build), owner, 0o700);
    return this.path(build);
  }

  /** Makes it whole: the platform's own from now on, which its app may only read. None of its processes lives. */
  async seal(build: string, owner: Owner | undefined): Promise<void> {
    const path = this.path(build);
    if (owner !== undefined) {
      await execute(["chown", "-R", "-h", `0:${owner.gid}`, "--", path], "/", undefined);
      await execute(["chmod", "-R", "u+rwX,g=u,g-ws,o=", "--", path], "/", undefined);
    }
    writeJson(this.#seal(build), { build });
  }

  async remove(build: string): Promise<void> {
    rmSync(this.#seal(build), { force: true });
    await execute(["rm", "-rf", "--one-file-system", "--", this.path(build)], "/", undefined);
  }

  /** Removes every build that is in neither set: records of the registry, and what runs or is being built. */
  async prune(recorded: ReadonlySet<string>, used: ReadonlySet<string>, now: number): Promise<string[]> {
    const pruned: string[] = [];
    for (const build of readdirSync(this.#root)) {
      if (recorded.has(build) || used.has(build)) continue;
      const { birthtimeMs } = await Bun.file(this.path(build)).stat();
      if (now - birthtimeMs < youngMs) continue;
      await this.remove(build);
      pruned.push(build);
    }
    return pruned;
  }

  #seal(build: string): string {
    return join(this.#seals, `${toFileName(build)}.json`);
  }
}
