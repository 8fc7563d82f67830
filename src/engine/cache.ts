/** What installers keep of their downloads, a folder for each app, so that the next build is quick. Bounded. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { execute } from "./execute.ts";
import { give, type Owner } from "./owner.ts";

/** A folder that is larger after a build is emptied. */
export const cacheBytesMax = 1024 ** 3;

export class Cache {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The app's folder, which is its builds' HOME; made when it is missing. */
  open(appNumber: number, owner: Owner | undefined): string {
    const path = this.#path(appNumber);
    mkdirSync(path, { recursive: true, mode: 0o711 });
    give(path, owner, 0o700);
    return path;
  }

  /** Removes the folder when it has grown too large. */
  async trim(appNumber: number): Promise<void> {
    const path = this.#path(appNumber);
    const child = Bun.spawn(["du", "-sk", "--", path], { stdio: ["ignore", "pipe", "ignore"] });
    const kibibytes = Number((await new Response(child.stdout).text()).split("\t")[0]);
    if (kibibytes * 1_024 > cacheBytesMax) {
      await execute(["rm", "-rf", "--one-file-system", "--", path], "/", undefined);
    }
  }

  #path(appNumber: number): string {
    return join(this.#root, String(appNumber));
  }
}
