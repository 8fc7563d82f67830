/**
 * Working directories: each run gets a copy of its build for itself, which goes when the run ends. Copying
 * takes time that a replacement must not wait for, so for every running place of a build one copy is made
 * ahead, the spare; its name is the id that the next run will have.
 *
 * `node_modules` and `.venv` are not copied: they are links to the build's own, which the app can only read.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { NinesError } from "../std/errors.ts";
import type { Builds } from "./builds.ts";
import { execute } from "./execute.ts";
import { give, type Owner } from "./owner.ts";

/** Spares kept of one build, however many places run it. */
export const sparesPerBuildMax = 8;
const linked = ["node_modules", ".venv"];
/** Names given to one cp; the kernel limits the length of a command line. */
const namesPerCopyMax = 500;

export interface Directory {
  /** The id of the run that uses it, or will. */
  readonly id: string;
  readonly path: string;
}

/** How many spares a build should have, and for whom. */
export interface SpareWish {
  readonly build: string;
  readonly owner: Owner | undefined;
  readonly count: number;
}

export class Workspaces {
  readonly #builds: Builds;
  readonly #root: string;
  readonly #spares = new Map<string, Directory[]>();
  #wishes: readonly SpareWish[] = [];
  #filling: Promise<void> | undefined;
  #closed = false;

  /** `root` exists; there the directories go. */
  constructor(builds: Builds, root: string) {
    this.#builds = builds;
    this.#root = root;
  }

  /** A spare of that build, when there is one. */
  take(build: string): Directory | undefined {
    return this.#spares.get(build)?.pop();
  }

  /** A new directory. Throws `not_found` when the build is not on this machine. */
  async make(build: string, owner: Owner | undefined): Promise<Directory> {
    const source = this.#builds.path(build);
    if (!this.#builds.has(build)) {
      throw new NinesError("not_found", `build ${build} is not on this machine`, {
        blame: "platform",
        hint: "deploy the app again",
      });
    }
    const id = randomUUID();
    const path = join(this.#root, id);
    mkdirSync(path, { mode: 0o700 });
    give(path, owner, 0o700);
    const names = readdirSync(source);
    const copied = names.filter((name) => !linked.includes(name));
    try {
      for (let at = 0; at < copied.length; at += namesPerCopyMax) {
        const some = copied.slice(at, at + namesPerCopyMax);
        await execute(["cp", "-a", "--reflink=auto", "--", ...some, `${path}/`], source, owner);
      }
      for (const name of linked) if (names.includes(name)) symlinkSync(join(source, name), join(path, name));
    } catch (error) {
      await this.remove(path);
      throw error;
    }
    return { id, path };
  }

  /** Says which spares are wanted from now on; they are made one after another, the others go. */
  wish(wishes: readonly SpareWish[]): void {
    this.#wishes = wishes;
    for (const [build, spares] of this.#spares) {
      const count = wishes.find((one) => one.build === build)?.count ?? 0;
      while (spares.length > count) void this.remove(spares.pop()?.path ?? "");
      if (count === 0) this.#spares.delete(build);
    }
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = undefined;
    });
  }

  /** Resolves once every wished spare is there, or cannot be made. */
  async settled(): Promise<void> {
    await this.#filling;
  }

  async remove(path: string): Promise<void> {
    if (!path.startsWith(`${this.#root}/`)) return;
    // Its own tool rather than ours: it never follows a link that was put in its way.
    await execute(["rm", "-rf", "--one-file-system", "--", path], "/", undefined).catch(() => {});
  }

  /** Removes every directory that is neither a spare nor in use. */
  async clean(used: ReadonlySet<string>): Promise<void> {
    const spares = new Set([...this.#spares.values()].flat().map((spare) => spare.id));
    for (const id of readdirSync(this.#root)) {
      if (!used.has(id) && !spares.has(id)) await this.remove(join(this.#root, id));
    }
  }

  /** Removes all spares, and makes no more. */
  async clear(): Promise<void> {
    this.close();
    await this.settled();
    const spares = [...this.#spares.values()].flat();
    this.#spares.clear();
    await Promise.all(spares.map((spare) => this.remove(spare.path)));
  }

  /** Makes no more spares; those that are there are found and removed at the next start. */
  close(): void {
    this.#closed = true;
  }

  async #fill(): Promise<void> {
    const failed = new Set<string>();
    for (;;) {
      const next = this.#wishes.find(
        (wish) => !failed.has(wish.build) && (this.#spares.get(wish.build)?.length ?? 0) < wish.count,
      );
      if (next === undefined || this.#closed) return;
      try {
        const spare = await this.make(next.build, next.owner);
        const spares = this.#spares.get(next.build) ?? [];
        this.#spares.set(next.build, [...spares, spare]);
      } catch {
        // A run of this build will say why, if it comes to one.
        failed.add(next.build);
      }
    }
  }
}
