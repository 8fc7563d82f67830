import { expect, test } from "bun:test";
import { Measures } from "./series.ts";

function total(measures: Measures): number {
  let sum = 0;
  for (const series of measures.all()) for (const { count } of series.counts()) sum += count;
  return sum;
}

/** Looks after each request, as a controller does each second, and adds up by how much each series has grown. */
class Looker {
  readonly #known = new Map<string, number>();
  grown = 0;

  look(measures: Measures): void {
    for (const { app, release, stage, counts } of [...measures.all()].map((series) => ({
      ...{ app: series.app, release: series.release, stage: series.stage },
      counts: [...series.counts()],
    }))) {
      const name = `${app}/${release}/${stage}`;
      const now = counts.reduce((sum, { count }) => sum + count, 0);
      this.grown += Math.max(0, now - (this.#known.get(name) ?? 0));
      this.#known.set(name, now);
    }
  }
}

test("requests count by app, release, status class and code", () => {
  const measures = new Measures();
  measures.series("shop", 3).add("", 200, 1);
  measures.series("shop", 3).add("", 204, 1);
  measures.series("shop", 3).add("H12", 503, 30_000);
  measures.series("shop", 4).add("", 999, 1);
  expect([...measures.series("shop", 3).counts()]).toEqual([
    { status: "2xx", code: "", count: 2 },
    { status: "5xx", code: "H12", count: 1 },
  ]);
  expect([...measures.series("shop", 4).counts()]).toEqual([{ status: "9xx", code: "", count: 1 }]);
});

test("a release that comes back after many others still counts", () => {
  const measures = new Measures();
  const looker = new Looker();
  const ask = (release: number) => {
    measures.series("shop", release).add("", 200, 1);
    looker.look(measures);
  };
  for (let release = 10; release < 30; release++) ask(release);
  for (const release of [3, 29, 3, 10]) ask(release);
  expect(looker.grown).toBe(24);
});

test("however many releases and apps there are, the series are few, and each request counts once", () => {
  const measures = new Measures();
  const looker = new Looker();
  for (let release = 1; release <= 100; release++) {
    for (let i = 0; i < 3; i++) measures.series("shop", release).add("", 200, 1);
    looker.look(measures);
    expect([...measures.all()].length).toBeLessThanOrEqual(10);
  }
  expect(looker.grown).toBe(300);
  for (let app = 0; app < 5_000; app++) measures.series(`app${app}`, 1).add("", 200, 1);
  expect([...measures.all()].length).toBeLessThanOrEqual(1_001);
  looker.look(measures);
  expect(looker.grown).toBe(5_300);
  measures.forget("shop");
  measures.series("late", 1).add("", 200, 1);
  expect([...measures.all()].some(({ app }) => app === "late")).toBe(true);
});

test("requests that a stage brought count apart, of a few stages, and all of them count", () => {
  const measures = new Measures();
  measures.series("shop", 3).add("", 200, 1);
  measures.series("shop", 3, "beta").add("", 200, 1);
  measures.series("shop", 3, "beta").add("", 500, 1);
  expect([...measures.series("shop", 3, "beta").counts()].map(({ count }) => count)).toEqual([1, 1]);
  expect([...measures.series("shop", 3).counts()]).toEqual([{ status: "2xx", code: "", count: 1 }]);
  for (let stage = 0; stage < 100; stage++) measures.series("shop", 3, `s${stage}`).add("", 200, 1);
  expect(new Set([...measures.all()].map(({ stage }) => stage))).toEqual(
    new Set(["", "beta", "s0", "s1", "s2"]),
  );
  expect(total(measures)).toBe(103);
  // A retired release takes its stages along.
  for (let release = 4; release <= 20; release++) measures.series("shop", release).add("", 200, 1);
  expect([...measures.all()].every(({ stage }) => stage === "")).toBe(true);
});

test("however many stages all apps have, the series are few, and room comes back", () => {
  const measures = new Measures();
  for (let app = 0; app < 1_000; app++) {
    for (const stage of ["internal", "beta", "all"]) measures.series(`app${app}`, 1, stage).add("", 200, 1);
  }
  expect([...measures.all()].length).toBeLessThanOrEqual(1_001);
  expect(total(measures)).toBe(3_000);
  for (let app = 0; app < 1_000; app++) measures.forget(`app${app}`);
  for (let app = 0; app < 1_000; app++) measures.series(`new${app}`, 1).add("", 200, 1);
  expect([...measures.all()].length).toBe(1_001);
});
