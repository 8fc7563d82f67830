/**
 * Wall clocks that can be stepped, each part's on its own: a module that every part of a fresh platform loads first, as
 * its home says so to the runtime (bunfig.toml), and that adds to the time what a file named after the part holds.
 * PostgreSQL and the instances keep the machine's time, as they would beside a container with a wrong one.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const lookEveryMs = 100;

const module = (folder: string) => `
const { readFileSync } = require("node:fs");
const path = ${JSON.stringify(folder)} + "/" + (process.env.NINES_PART ?? "other");
const Real = Date;
let offset = 0;
const look = () => {
  try { offset = Number(readFileSync(path, "utf8")) || 0; } catch { offset = 0; }
};
look();
setInterval(look, ${lookEveryMs}).unref();
globalThis.Date = class Date extends Real {
  constructor(...given) {
    if (given.length === 0) super(Real.now() + offset);
    else super(...given);
  }
  static now() { return Real.now() + offset; }
};
`;

export interface Clocks {
  /** Sets a part's clock by so many ms before or after the machine's; 0 sets it right. */
  step(part: string, ms: number): void;
}

/** Before the platform's first start; `folder` is outside of its home. */
export function prepareClocks(home: string, folder: string): Clocks {
  const offsets = join(folder, "clocks");
  mkdirSync(offsets, { recursive: true, mode: 0o711 });
  mkdirSync(home, { recursive: true, mode: 0o711 });
  const path = join(folder, "clock.cjs");
  writeFileSync(path, module(offsets));
  writeFileSync(join(home, "bunfig.toml"), `preload = [${JSON.stringify(path)}]\n`);
  return {
    step(part, ms) {
      if (ms === 0) rmSync(join(offsets, part), { force: true });
      else writeFileSync(join(offsets, part), String(ms));
    },
  };
}

/** Until every part has looked. */
export const clockLookMs: number = lookEveryMs * 2;
