/** What apps write to others while no controller takes it: a folder for each app, which outlives its instances. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { give, type Owner } from "./owner.ts";

export class Spools {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The app's folder; made when it is missing. */
  open(appNumber: number, owner: Owner | undefined): string {
    const path = join(this.#root, String(appNumber));
    mkdirSync(path, { recursive: true, mode: 0o711 });
    give(path, owner, 0o700);
    return path;
  }
}
